/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What zstd and ring use of the C library. */
#ifndef ELFUSE_SDK_STRING_H
#define ELFUSE_SDK_STRING_H
#include <stddef.h>
int memcmp(const void *, const void *, size_t);
void *memchr(const void *, int, size_t);
void *memcpy(void *, const void *, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
int strcmp(const char *, const char *);
size_t strlen(const char *);
int strncmp(const char *, const char *, size_t);
#endif
