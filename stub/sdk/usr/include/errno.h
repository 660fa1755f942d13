/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The calling thread's error number, as Darwin finds it. */
#ifndef ELFUSE_SDK_ERRNO_H
#define ELFUSE_SDK_ERRNO_H
int *__error(void);
#define errno (*__error())
#define ENOMEM 12
#define EINVAL 22
#endif
