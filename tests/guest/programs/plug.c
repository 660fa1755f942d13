/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A library that a program loads while it runs. */
int count;
static __thread int own = 1;
int twice(int n)
{
	count += own;
	return 2 * n;
}
