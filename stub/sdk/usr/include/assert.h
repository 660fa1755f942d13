/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The C library's assertion. */
#ifndef ELFUSE_SDK_ASSERT_H
#define ELFUSE_SDK_ASSERT_H
void __assert_rtn(const char *, const char *, int, const char *) __attribute__((noreturn));
#ifdef NDEBUG
#define assert(e) ((void)0)
#else
#define assert(e) ((e) ? (void)0 : __assert_rtn(__func__, "", __LINE__, #e))
#endif
#if !defined(__cplusplus) && !defined(static_assert)
#define static_assert _Static_assert
#endif
#endif
