/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The integer types; no format macro is used. */
#ifndef ELFUSE_SDK_INTTYPES_H
#define ELFUSE_SDK_INTTYPES_H
#include <stdint.h>
#endif
