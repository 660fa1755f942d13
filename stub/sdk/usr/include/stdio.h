/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Enough for code that can print when a debug macro is set. */
#ifndef ELFUSE_SDK_STDIO_H
#define ELFUSE_SDK_STDIO_H
#include <stdarg.h>
#include <stddef.h>
typedef struct __sFILE FILE;
extern FILE *__stderrp;
extern FILE *__stdoutp;
#define stderr __stderrp
#define stdout __stdoutp
int fflush(FILE *);
int fprintf(FILE *, const char *, ...) __attribute__((format(printf, 2, 3)));
int printf(const char *, ...) __attribute__((format(printf, 1, 2)));
int snprintf(char *, size_t, const char *, ...) __attribute__((format(printf, 3, 4)));
#endif
