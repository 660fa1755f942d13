/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Darwin's clocks. */
#ifndef ELFUSE_SDK_TIME_H
#define ELFUSE_SDK_TIME_H
#include <stddef.h>
typedef long time_t;
typedef unsigned long clock_t;
struct timespec { time_t tv_sec; long tv_nsec; };
#define CLOCKS_PER_SEC ((clock_t)1000000)
clock_t clock(void);
time_t time(time_t *);
#endif
