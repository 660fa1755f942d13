/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What zstd and ring use of the C library, with Darwin arm64's types. */
#ifndef ELFUSE_SDK_STDLIB_H
#define ELFUSE_SDK_STDLIB_H
#include <stddef.h>
void abort(void) __attribute__((noreturn));
void exit(int) __attribute__((noreturn));
void *calloc(size_t, size_t);
void free(void *);
char *getenv(const char *);
void *malloc(size_t);
void qsort(void *, size_t, size_t, int (*)(const void *, const void *));
void *realloc(void *, size_t);
#endif
