/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Nothing of it is used by what is built here. */
#ifndef ELFUSE_SDK_UNISTD_H
#define ELFUSE_SDK_UNISTD_H
#endif
