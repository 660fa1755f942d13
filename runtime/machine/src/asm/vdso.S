// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The vDSO: an ELF image of one page, behind a page of data that the host keeps
// (VVAR_*). Everything is laid out by hand in .text, so that the bytes of the section
// are the file. What C libraries ask for: a PT_DYNAMIC that needs no relocation, a SysV
// hash table, versions, and the ABI note without which glibc does not use it.
// Linux 6.12 arch/arm64/kernel/vdso.

.text
.set vvar, start - 4096
start:
    .byte   0x7f, 'E', 'L', 'F', 2, 1, 1, 0
    .quad   0
    .hword  3, 183                      // ET_DYN, AArch64
    .word   1
    .quad   0, headers - start, 0
    .word   0
    .hword  64, 56, 3, 64, 0, 0
headers:
    .word   1, 5                        // PT_LOAD, read and execute
    .quad   0, 0, 0, end - start, end - start, 4096
    .word   2, 4                        // PT_DYNAMIC
    .quad   dynamic - start, dynamic - start, dynamic - start
    .quad   note - dynamic, note - dynamic, 8
    .word   4, 4                        // PT_NOTE
    .quad   note - start, note - start, note - start
    .quad   note_end - note, note_end - note, 4
dynamic:
    .quad   4, hash - start
    .quad   5, strings - start
    .quad   6, symbols - start
    .quad   10, strings_end - strings
    .quad   11, 24
    .quad   14, soname - strings
    .quad   0x6ffffff0, versions - start
    .quad   0x6ffffffc, definitions - start
    .quad   0x6ffffffd, 2
    .quad   0, 0
note:
    .word   4, 16, 1                    // NT_GNU_ABI_TAG: Linux 2.6.39
    .asciz  "GNU"
    .word   0, 2, 6, 39
note_end:
    .balign 8

.macro symbol name
    .word   name_\name - strings
    .byte   0x12, 0                     // global function
    .hword  1
    .quad   \name - start, end_\name - \name
.endm
symbols:
    .quad   0, 0, 0
    symbol  rt_sigreturn
    symbol  clock_gettime
    symbol  clock_getres
    symbol  gettimeofday
    symbol  getcpu
hash:                                   // one bucket, which lists all
    .word   1, 6, 1, 0, 2, 3, 4, 5, 0
    .balign 4
versions:
    .hword  0, 2, 2, 2, 2, 2
    .balign 4
definitions:
    .hword  1, 1, 1, 1                  // the name of the file itself
    .word   0x0deebfa1, 20, 28, soname - strings, 0
    .hword  1, 0, 2, 1
    .word   0x075fcb89, 20, 0, version - strings, 0
strings:
    .byte   0
soname:
    .asciz  "linux-vdso.so.1"
version:
    .asciz  "LINUX_2.6.39"
name_rt_sigreturn:
    .asciz  "__kernel_rt_sigreturn"
name_clock_gettime:
    .asciz  "__kernel_clock_gettime"
name_clock_getres:
    .asciz  "__kernel_clock_getres"
name_gettimeofday:
    .asciz  "__kernel_gettimeofday"
name_getcpu:
    .asciz  "__kernel_getcpu"
strings_end:

    .org    VDSO_SIGRETURN - 4
// The bytes before the symbol keep unwinders, which look at the call site, inside.
    nop
.global rt_sigreturn
rt_sigreturn:
    mov     x8, #139
    svc     #0
end_rt_sigreturn:

// x9: nanoseconds of the clock whose distance from the counter is x5. Uses x4, x6, x7,
// x10 to x12. The scale is a fixed-point number: nanoseconds for each tick, times 2 to
// the shift. It is 0 while the host does not know the counter.
.macro nanoseconds unknown
    adr     x4, vvar
    ldp     x7, x11, [x4, #VVAR_SCALE]
    cbz     x7, \unknown
    isb
    mrs     x6, cntvct_el0
    mul     x9, x6, x7
    umulh   x10, x6, x7
    lsr     x9, x9, x11
    neg     x12, x11
    lsl     x10, x10, x12
    orr     x9, x9, x10
    add     x9, x9, x5
.endm

// x10: whole seconds of x9; x9: the rest.
.macro split
    mov     w12, #0xca00
    movk    w12, #0x3b9a, lsl #16
    udiv    x10, x9, x12
    msub    x9, x10, x12, x9
.endm

clock_gettime:                          // (x0: clock, x1: struct timespec *)
    cmp     w0, #11
    b.hi    2f
    mov     w2, #1
    lsl     w2, w2, w0
    adr     x4, vvar
    ldr     x5, [x4, #VVAR_REALTIME]
    mov     w3, #0x821                  // REALTIME, REALTIME_COARSE, TAI
    tst     w2, w3
    b.ne    1f
    ldr     x5, [x4, #VVAR_MONOTONIC]
    mov     w3, #0x52                   // MONOTONIC, MONOTONIC_RAW, MONOTONIC_COARSE
    tst     w2, w3
    b.ne    1f
    ldr     x5, [x4, #VVAR_BOOTTIME]
    tbz     w2, #7, 2f
1:  nanoseconds 2f
    split
    stp     x10, x9, [x1]
    mov     x0, xzr
    ret
2:  mov     x8, #113
    svc     #0
    ret
end_clock_gettime:

clock_getres:                           // (x0: clock, x1: struct timespec *)
    cmp     w0, #11
    b.hi    2f
    mov     w2, #1
    lsl     w2, w2, w0
    mov     w3, #0x893                  // all that are not coarse, or of processors
    tst     w2, w3
    b.eq    2f
    cbz     x1, 1f
    mov     x3, #1
    stp     xzr, x3, [x1]
1:  mov     x0, xzr
    ret
2:  mov     x8, #114
    svc     #0
    ret
end_clock_getres:

gettimeofday:                           // (x0: struct timeval *, x1: struct timezone *)
    cbz     x0, 1f
    adr     x4, vvar
    ldr     x5, [x4, #VVAR_REALTIME]
    nanoseconds 3f
    split
    mov     x12, #1000
    udiv    x9, x9, x12
    stp     x10, x9, [x0]
1:  cbz     x1, 2f
    str     xzr, [x1]
2:  mov     x0, xzr
    ret
3:  mov     x8, #169
    svc     #0
    ret
end_gettimeofday:

// The kernel shows programs one processor, number 0.
getcpu:                                 // (x0, x1: unsigned *)
    cbz     x0, 1f
    str     wzr, [x0]
1:  cbz     x1, 2f
    str     wzr, [x1]
2:  mov     x0, xzr
    ret
end_getcpu:
end:
