/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* splitmix64: the same numbers everywhere. Each thread has its own. */
#ifndef HOSTILE_RANDOM_H
#define HOSTILE_RANDOM_H
#include <stdint.h>

static __thread uint64_t state;
static uint64_t next(void)
{
	state += 0x9e3779b97f4a7c15;
	uint64_t z = state;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}
static uint64_t below(uint64_t n) { return next() % n; }
#endif
