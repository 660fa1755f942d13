/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The smallest program, without a C library: what elves breaks. */
static char some[5000];
static const char *const more[] = { some, some + 1 };

void _start(void)
{
	register long x8 __asm__("x8") = 93;
	register long x0 __asm__("x0") = more[0][4999] + (more[1] != some + 1);
	__asm__ volatile("svc #0" : : "r"(x8), "r"(x0));
	__builtin_unreachable();
}
