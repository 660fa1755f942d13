/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The one platform the stub is built for. */
#ifndef ELFUSE_SDK_TARGETCONDITIONALS_H
#define ELFUSE_SDK_TARGETCONDITIONALS_H
#define TARGET_OS_MAC 1
#define TARGET_OS_OSX 1
#define TARGET_OS_IPHONE 0
#define TARGET_CPU_ARM64 1
#endif
