// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The EL1 shim: all the code that runs between a guest program and the host.
//
// SP_EL1 is the address of the processor's page (CPU_*), whose first word is the
// address of the running thread's page (THREAD_*). An exception from EL0 saves the
// thread there and does one HVC; the host answers with a command word and the shim
// goes back. Seven system calls that only ask who the thread is are answered here.
// Offsets are shared with Rust by layout.rs; the build defines them.

.text
.macro bad_slot
    .balign 128
    hvc     #HVC_BAD
    b       .
.endm

vectors:
    .rept 8
    bad_slot
    .endr
    .balign 128
    b       sync_entry
    .balign 128
    b       irq_entry
    .rept 6
    bad_slot
    .endr
    .balign 128

// Entry of a new processor, and the way back to EL0. Offset 0x800.
//
// Without a command the thread is the one that came out last: all its registers but
// x0 to x3 are still in the processor. Commands may use x0 to x3 only.
.macro go_back
    ldr     x0, [sp, #CPU_THREAD]
    ldp     x2, x3, [x0, #16]
    ldp     x0, x1, [x0]
    eret
.endm

.macro obey
    ldp     x1, x2, [sp, #CPU_COMMAND]
    orr     x2, x1, x2
    cbnz    x2, commands
    go_back
.endm

resume:
    obey
back:
    go_back

commands:
    str     xzr, [sp, #CPU_COMMAND]
    tbz     x1, #CMD_LOAD_FP, 1f
    ldr     x0, [sp, #CPU_THREAD]
    ldp     x2, x3, [x0, #THREAD_FPSR]
    msr     fpsr, x2
    msr     fpcr, x3
    add     x2, x0, #THREAD_V
    ldp     q0, q1, [x2, #0]
    ldp     q2, q3, [x2, #32]
    ldp     q4, q5, [x2, #64]
    ldp     q6, q7, [x2, #96]
    ldp     q8, q9, [x2, #128]
    ldp     q10, q11, [x2, #160]
    ldp     q12, q13, [x2, #192]
    ldp     q14, q15, [x2, #224]
    ldp     q16, q17, [x2, #256]
    ldp     q18, q19, [x2, #288]
    ldp     q20, q21, [x2, #320]
    ldp     q22, q23, [x2, #352]
    ldp     q24, q25, [x2, #384]
    ldp     q26, q27, [x2, #416]
    ldp     q28, q29, [x2, #448]
    ldp     q30, q31, [x2, #480]
1:  tbz     x1, #CMD_TTBR, 1f
    ldr     x2, [sp, #CPU_TTBR]
    msr     ttbr0_el1, x2
    isb
1:  tbz     x1, #CMD_TLBI_ASID, 1f
    ldr     x2, [sp, #CPU_TLBI_ASID]
    dsb     ishst
    tlbi    aside1, x2
    dsb     nsh
    isb
1:  tbz     x1, #CMD_TLBI_LIST, 1f
    ldr     x2, [sp, #CPU_TLBI_COUNT]
    add     x3, sp, #CPU_TLBI_LIST
    dsb     ishst
2:  ldr     x0, [x3], #8
    tlbi    vae1, x0
    subs    x2, x2, #1
    b.ne    2b
    dsb     nsh
    isb
1:  tbz     x1, #CMD_ICACHE, 1f
    ic      iallu
    dsb     nsh
    isb
1:  tbz     x1, #CMD_COUNTER, 1f
    mrs     x2, cntvct_el0
    mrs     x3, cntfrq_el0
    add     x0, sp, #CPU_COUNTER
    stp     x2, x3, [x0]
    // Who kicks writes the word first and cancels the run then. A word written after
    // this load finds the processor running, and the cancellation works.
1:  ldr     x2, [sp, #CPU_KICK]
    cbz     x2, 1f
    hvc     #HVC_KICK
    b       resume
1:  tbz     x1, #CMD_LOAD, back

    ldr     x0, [sp, #CPU_THREAD]
    ldp     x2, x3, [x0, #THREAD_SP]
    msr     sp_el0, x2
    msr     elr_el1, x3
    ldp     x2, x3, [x0, #THREAD_PSTATE]
    msr     spsr_el1, x2
    msr     tpidr_el0, x3
    ldp     x2, x3, [x0, #16]
    ldp     x4, x5, [x0, #32]
    ldp     x6, x7, [x0, #48]
    ldp     x8, x9, [x0, #64]
    ldp     x10, x11, [x0, #80]
    ldp     x12, x13, [x0, #96]
    ldp     x14, x15, [x0, #112]
    ldp     x16, x17, [x0, #128]
    ldp     x18, x19, [x0, #144]
    ldp     x20, x21, [x0, #160]
    ldp     x22, x23, [x0, #176]
    ldp     x24, x25, [x0, #192]
    ldp     x26, x27, [x0, #208]
    ldp     x28, x29, [x0, #224]
    ldr     x30, [x0, #240]
    ldp     x0, x1, [x0]
    eret

.macro save_thread
    ldr     x0, [sp, #CPU_THREAD]
    stp     x2, x3, [x0, #16]
    stp     x4, x5, [x0, #32]
    stp     x6, x7, [x0, #48]
    stp     x8, x9, [x0, #64]
    stp     x10, x11, [x0, #80]
    stp     x12, x13, [x0, #96]
    stp     x14, x15, [x0, #112]
    stp     x16, x17, [x0, #128]
    stp     x18, x19, [x0, #144]
    stp     x20, x21, [x0, #160]
    stp     x22, x23, [x0, #176]
    stp     x24, x25, [x0, #192]
    stp     x26, x27, [x0, #208]
    stp     x28, x29, [x0, #224]
    str     x30, [x0, #240]
    ldp     x2, x3, [sp, #CPU_SCRATCH]
    stp     x2, x3, [x0]
    mrs     x2, sp_el0
    mrs     x3, elr_el1
    stp     x2, x3, [x0, #THREAD_SP]
    mrs     x2, spsr_el1
    mrs     x3, tpidr_el0
    stp     x2, x3, [x0, #THREAD_PSTATE]
    mrs     x2, esr_el1
    mrs     x3, far_el1
    stp     x2, x3, [x0, #THREAD_ESR]
    mrs     x2, fpsr
    mrs     x3, fpcr
    stp     x2, x3, [x0, #THREAD_FPSR]
    add     x2, x0, #THREAD_V
    stp     q0, q1, [x2, #0]
    stp     q2, q3, [x2, #32]
    stp     q4, q5, [x2, #64]
    stp     q6, q7, [x2, #96]
    stp     q8, q9, [x2, #128]
    stp     q10, q11, [x2, #160]
    stp     q12, q13, [x2, #192]
    stp     q14, q15, [x2, #224]
    stp     q16, q17, [x2, #256]
    stp     q18, q19, [x2, #288]
    stp     q20, q21, [x2, #320]
    stp     q22, q23, [x2, #352]
    stp     q24, q25, [x2, #384]
    stp     q26, q27, [x2, #416]
    stp     q28, q29, [x2, #448]
    stp     q30, q31, [x2, #480]
.endm

sync_entry:
    stp     x0, x1, [sp, #CPU_SCRATCH]
    // A system call, no attention, and one of: getpid getppid getuid geteuid getgid
    // getegid gettid. Each condition counts only when those before it hold.
    mrs     x0, esr_el1
    ldr     x1, [sp, #CPU_THREAD]
    lsr     x0, x0, #26
    ldr     w1, [x1, #THREAD_ATTENTION]
    cmp     x0, #0x15
    ccmp    w1, #0, #0, eq
    sub     x1, x8, #172
    ccmp    x1, #6, #2, eq
    b.hi    slow
    ldr     x0, [sp, #CPU_THREAD]
    add     x0, x0, #THREAD_IDS
    ldr     w0, [x0, x1, lsl #2]
    ldr     x1, [sp, #CPU_FAST_CALLS]
    add     x1, x1, #1
    str     x1, [sp, #CPU_FAST_CALLS]
    ldr     x1, [sp, #CPU_SCRATCH + 8]
    eret
slow:
    save_thread
    hvc     #HVC_SYNC
    obey

irq_entry:
    stp     x0, x1, [sp, #CPU_SCRATCH]
    save_thread
    hvc     #HVC_IRQ
    b       resume
