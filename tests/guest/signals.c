/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Claims about signals: queues, masks, frames, restarts, faults. */
#include "case.h"
#include <setjmp.h>
#include <ucontext.h>

static volatile sig_atomic_t hits, last_signal, last_code, last_value;
static void *volatile last_address;
static sigjmp_buf escape;

static void on_signal(int signal, siginfo_t *info, void *context)
{
	(void)context;
	hits++;
	last_signal = signal;
	last_code = info->si_code;
	last_value = info->si_value.sival_int;
	last_address = info->si_addr;
}
static void on_fault(int signal, siginfo_t *info, void *context)
{
	on_signal(signal, info, context);
	siglongjmp(escape, 1);
}
static void handle(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };
	CHECK_EQ(sigaction(signal, &action, NULL), 0);
}
static void block(int signal)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signal);
	CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
}
static void unblock(int signal)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signal);
	CHECK_EQ(sigprocmask(SIG_UNBLOCK, &set, NULL), 0);
}
/* Has a child send the signal to this process in a moment. */
static void signal_soon(int signal)
{
	pid_t parent = getpid();
	if (!fork()) {
		guest_sleep_ms(40);
		kill(parent, signal);
		_exit(0);
	}
}

CASE(raise_runs_the_handler)
{
	handle(SIGUSR1, on_signal, 0);
	CHECK_EQ(raise(SIGUSR1), 0);
	CHECK_EQ(hits, 1);
	CHECK_EQ(last_signal, SIGUSR1);
	CHECK_EQ(last_code, SI_TKILL);
}
CASE(kill_tells_the_sender)
{
	siginfo_t info;
	sigset_t set;
	block(SIGUSR1);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR1);
	CHECK_EQ(info.si_code, SI_USER);
	CHECK_EQ(info.si_pid, getpid());
}
CASE(blocked_signal_waits)
{
	sigset_t pending;
	handle(SIGUSR1, on_signal, 0);
	block(SIGUSR1);
	raise(SIGUSR1);
	CHECK_EQ(hits, 0);
	CHECK_EQ(sigpending(&pending), 0);
	CHECK(sigismember(&pending, SIGUSR1));
	unblock(SIGUSR1);
	CHECK_EQ(hits, 1);
}
CASE(standard_signals_do_not_queue)
{
	handle(SIGUSR1, on_signal, 0);
	block(SIGUSR1);
	raise(SIGUSR1);
	raise(SIGUSR1);
	unblock(SIGUSR1);
	CHECK_EQ(hits, 1);
}
CASE(realtime_signals_queue_in_order)
{
	union sigval value;
	siginfo_t info;
	sigset_t set;
	block(SIGRTMIN);
	for (value.sival_int = 1; value.sival_int <= 3; value.sival_int++)
		CHECK_EQ(sigqueue(getpid(), SIGRTMIN, value), 0);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	for (int i = 1; i <= 3; i++) {
		CHECK_EQ(sigwaitinfo(&set, &info), SIGRTMIN);
		CHECK_EQ(info.si_value.sival_int, i);
		CHECK_EQ(info.si_code, SI_QUEUE);
	}
}
CASE(lower_realtime_signal_comes_first)
{
	sigset_t set;
	block(SIGRTMIN);
	block(SIGRTMIN + 1);
	raise(SIGRTMIN + 1);
	raise(SIGRTMIN);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGRTMIN + 1);
	CHECK_EQ(sigwaitinfo(&set, NULL), SIGRTMIN);
	CHECK_EQ(sigwaitinfo(&set, NULL), SIGRTMIN + 1);
}
CASE(sigkill_cannot_be_caught)
{
	struct sigaction action = { .sa_handler = SIG_IGN };
	CHECK_ERR(sigaction(SIGKILL, &action, NULL), EINVAL);
	CHECK_ERR(sigaction(SIGSTOP, &action, NULL), EINVAL);
}
CASE(sigkill_cannot_be_blocked)
{
	sigset_t set;
	sigfillset(&set);
	CHECK_EQ(sigprocmask(SIG_SETMASK, &set, &set), 0);
	CHECK_EQ(sigprocmask(SIG_SETMASK, NULL, &set), 0);
	CHECK(!sigismember(&set, SIGKILL) && !sigismember(&set, SIGSTOP));
}
CASE(sigprocmask_bad_how_is_einval)
{
	sigset_t set;
	sigemptyset(&set);
	CHECK_ERR(sigprocmask(9, &set, NULL), EINVAL);
}
CASE(rt_sigprocmask_bad_size_is_einval) { CHECK_ERR(syscall(SYS_rt_sigprocmask, 0, NULL, NULL, 4), EINVAL); }
CASE(sigaction_returns_the_old_one)
{
	struct sigaction old;
	handle(SIGUSR1, on_signal, SA_RESTART);
	CHECK_EQ(sigaction(SIGUSR1, NULL, &old), 0);
	CHECK(old.sa_sigaction == on_signal);
	CHECK(old.sa_flags & SA_RESTART);
}
CASE(resethand_resets)
{
	struct sigaction old;
	handle(SIGUSR1, on_signal, SA_RESETHAND);
	raise(SIGUSR1);
	CHECK_EQ(sigaction(SIGUSR1, NULL, &old), 0);
	CHECK(old.sa_handler == SIG_DFL);
}
static void on_nested(int signal, siginfo_t *info, void *context)
{
	on_signal(signal, info, context);
	if (hits == 1) {
		raise(signal);
		last_value = hits;
	}
}
CASE(handler_blocks_its_own_signal)
{
	handle(SIGUSR1, on_nested, 0);
	raise(SIGUSR1);
	CHECK_EQ(hits, 2);
}
static volatile sig_atomic_t inner_hits;
static void on_nodefer(int signal, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	if (++hits < 3) {
		raise(signal);
		inner_hits = hits;
	}
}
CASE(nodefer_nests)
{
	handle(SIGUSR1, on_nodefer, SA_NODEFER);
	raise(SIGUSR1);
	CHECK_EQ(hits, 3);
	CHECK_EQ(inner_hits, 3);
}
static void on_mask(int signal, siginfo_t *info, void *context)
{
	sigset_t set;
	on_signal(signal, info, context);
	sigprocmask(SIG_SETMASK, NULL, &set);
	last_value = sigismember(&set, SIGUSR2);
}
CASE(sa_mask_holds_in_the_handler)
{
	struct sigaction action = { .sa_sigaction = on_mask, .sa_flags = SA_SIGINFO };
	sigset_t set;
	sigaddset(&action.sa_mask, SIGUSR2);
	CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
	raise(SIGUSR1);
	CHECK_EQ(last_value, 1);
	sigprocmask(SIG_SETMASK, NULL, &set);
	CHECK(!sigismember(&set, SIGUSR2));
}
#ifdef __aarch64__
CASE(altstack_is_used)
{
	static char area[32768];
	stack_t stack = { .ss_sp = area, .ss_size = sizeof area }, now;
	CHECK_EQ(sigaltstack(&stack, NULL), 0);
	CHECK_EQ(sigaltstack(NULL, &now), 0);
	CHECK_EQ(now.ss_flags, 0);
	handle(SIGSEGV, on_fault, SA_ONSTACK);
	if (!sigsetjmp(escape, 1)) {
		__asm__ volatile("mov x9, #0\n mov sp, x9\n str x9, [sp]\n" ::: "x9", "memory");
		CHECK(0);
	}
	CHECK_EQ(last_signal, SIGSEGV);
}
#endif
CASE(altstack_too_small_is_enomem)
{
	char area[512];
	stack_t stack = { .ss_sp = area, .ss_size = sizeof area };
	CHECK_ERR(sigaltstack(&stack, NULL), ENOMEM);
}
CASE(altstack_bad_flags_is_einval)
{
	stack_t stack = { .ss_flags = 0x40 };
	CHECK_ERR(sigaltstack(&stack, NULL), EINVAL);
}
#ifdef __aarch64__
CASE(registers_survive_a_handler)
{
	handle(SIGUSR1, on_signal, 0);
	register long keep __asm__("x20") = 0x1234567;
	double real = 1.5;
	for (int i = 0; i < 50; i++) {
		raise(SIGUSR1);
		real *= 1.01;
		__asm__ volatile("" : "+r"(keep));
	}
	CHECK_EQ(keep, 0x1234567);
	CHECK(real > 2.4 && real < 2.5);
}
static void on_edit(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	(void)signal;
	(void)info;
	uc->uc_mcontext.pc += 4;
	uc->uc_mcontext.regs[0] = 77;
}
CASE(handler_can_edit_the_context)
{
	handle(SIGTRAP, on_edit, 0);
	register long result __asm__("x0") = 1;
	__asm__ volatile("brk #1" : "+r"(result)::"memory");
	CHECK_EQ(result, 77);
}
#endif
CASE(read_is_restarted_with_sa_restart)
{
	char c;
	int p[2];
	CHECK_EQ(pipe(p), 0);
	handle(SIGUSR1, on_signal, SA_RESTART);
	signal_soon(SIGUSR1);
	if (!fork()) {
		guest_sleep_ms(150);
		CHECK_EQ(write(p[1], "x", 1), 1);
		_exit(0);
	}
	CHECK_EQ(read(p[0], &c, 1), 1);
	CHECK_EQ(hits, 1);
}
CASE(read_without_sa_restart_is_eintr)
{
	char c;
	int p[2];
	CHECK_EQ(pipe(p), 0);
	handle(SIGUSR1, on_signal, 0);
	signal_soon(SIGUSR1);
	CHECK_ERR(read(p[0], &c, 1), EINTR);
	CHECK_EQ(hits, 1);
}
CASE(ignored_signal_does_not_interrupt)
{
	struct timespec start;
	signal(SIGUSR1, SIG_IGN);
	signal_soon(SIGUSR1);
	clock_gettime(CLOCK_MONOTONIC, &start);
	struct timespec pause = { 0, 120000000 };
	CHECK_EQ(nanosleep(&pause, NULL), 0);
	CHECK(guest_elapsed_ms(&start) >= 120);
}
CASE(nanosleep_tells_what_is_left)
{
	struct timespec pause = { 5, 0 }, left = { 0, 0 };
	handle(SIGUSR1, on_signal, SA_RESTART);
	signal_soon(SIGUSR1);
	CHECK_ERR(nanosleep(&pause, &left), EINTR);
	CHECK(left.tv_sec == 4);
}
CASE(poll_is_never_restarted)
{
	handle(SIGUSR1, on_signal, SA_RESTART);
	signal_soon(SIGUSR1);
	CHECK_ERR(poll(NULL, 0, 5000), EINTR);
}
CASE(stop_and_continue_restart_a_sleep)
{
	struct timespec start;
	pid_t pid = fork();
	if (!pid) {
		struct timespec pause = { 0, 200000000 };
		_exit(nanosleep(&pause, NULL) ? 1 : 0);
	}
	clock_gettime(CLOCK_MONOTONIC, &start);
	guest_sleep_ms(30);
	kill(pid, SIGSTOP);
	guest_sleep_ms(30);
	kill(pid, SIGCONT);
	CHECK_CHILD_OK(pid);
	CHECK(guest_elapsed_ms(&start) >= 190);
}
CASE(pause_returns_eintr)
{
	handle(SIGUSR1, on_signal, SA_RESTART);
	signal_soon(SIGUSR1);
	CHECK_ERR(pause(), EINTR);
}
CASE(sigsuspend_swaps_the_mask)
{
	sigset_t none;
	sigemptyset(&none);
	handle(SIGUSR1, on_signal, 0);
	block(SIGUSR1);
	raise(SIGUSR1);
	CHECK_ERR(sigsuspend(&none), EINTR);
	CHECK_EQ(hits, 1);
	sigprocmask(SIG_SETMASK, NULL, &none);
	CHECK(sigismember(&none, SIGUSR1));
}
CASE(sigtimedwait_times_out_with_eagain)
{
	sigset_t set;
	struct timespec soon = { 0, 20000000 };
	block(SIGUSR1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_ERR(sigtimedwait(&set, NULL, &soon), EAGAIN);
}
CASE(sigtimedwait_wakes)
{
	sigset_t set;
	struct timespec later = { 5, 0 };
	block(SIGUSR1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	signal_soon(SIGUSR1);
	CHECK_EQ(sigtimedwait(&set, NULL, &later), SIGUSR1);
}
CASE(segv_on_unmapped_is_maperr)
{
	handle(SIGSEGV, on_fault, 0);
	if (!sigsetjmp(escape, 1))
		*(volatile int *)0x10 = 1;
	CHECK_EQ(last_signal, SIGSEGV);
	CHECK_EQ(last_code, SEGV_MAPERR);
	CHECK(last_address == (void *)0x10);
}
CASE(segv_on_read_only_is_accerr)
{
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	handle(SIGSEGV, on_fault, 0);
	if (!sigsetjmp(escape, 1))
		page[5] = 1;
	CHECK_EQ(last_code, SEGV_ACCERR);
	CHECK(last_address == page + 5);
}
CASE(jump_to_data_is_accerr)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	handle(SIGSEGV, on_fault, 0);
	if (!sigsetjmp(escape, 1))
		((void (*)(void))(void *)page)();
	CHECK_EQ(last_code, SEGV_ACCERR);
	CHECK(last_address == page);
}
CASE(sigbus_past_the_end_of_a_file)
{
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	CHECK_EQ(ftruncate(fd, 4096), 0);
	volatile char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	handle(SIGBUS, on_fault, 0);
	if (!sigsetjmp(escape, 1))
		page[4096] = 1;
	CHECK_EQ(last_signal, SIGBUS);
	CHECK_EQ(last_code, BUS_ADRERR);
}
#ifdef __aarch64__
CASE(illegal_instruction_is_ill_illopc)
{
	handle(SIGILL, on_fault, 0);
	if (!sigsetjmp(escape, 1))
		__asm__ volatile(".word 0");
	CHECK_EQ(last_signal, SIGILL);
	CHECK_EQ(last_code, ILL_ILLOPC);
}
CASE(brk_is_trap_brkpt)
{
	handle(SIGTRAP, on_fault, 0);
	if (!sigsetjmp(escape, 1))
		__asm__ volatile("brk #0");
	CHECK_EQ(last_signal, SIGTRAP);
	CHECK_EQ(last_code, TRAP_BRKPT);
}
#endif
CASE(blocked_fault_kills)
{
	pid_t pid = fork();
	if (!pid) {
		handle(SIGSEGV, on_signal, 0);
		block(SIGSEGV);
		*(volatile int *)0x10 = 1;
		_exit(0);
	}
	int status = guest_wait(pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}
CASE(abort_kills_with_sigabrt)
{
	pid_t pid = fork();
	if (!pid)
		abort();
	int status = guest_wait(pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
CASE(sigchld_carries_the_status)
{
	handle(SIGCHLD, on_signal, 0);
	pid_t pid = fork();
	if (!pid)
		_exit(5);
	while (!hits)
		guest_sleep_ms(5);
	CHECK_EQ(last_signal, SIGCHLD);
	CHECK_EQ(last_code, CLD_EXITED);
	guest_wait(pid);
}
CASE(nocldstop_hides_stops)
{
	handle(SIGCHLD, on_signal, SA_NOCLDSTOP | SA_RESTART);
	pid_t pid = fork();
	if (!pid)
		for (;;)
			pause();
	kill(pid, SIGSTOP);
	int status;
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK_EQ(hits, 0);
	kill(pid, SIGKILL);
	guest_wait(pid);
}
CASE(default_action_of_sigurg_is_ignore)
{
	CHECK_EQ(raise(SIGURG), 0);
	CHECK_EQ(raise(SIGWINCH), 0);
}
CASE(tgkill_wrong_group_is_esrch) { CHECK_ERR(syscall(SYS_tgkill, 999999, getpid(), 0), ESRCH); }
CASE(tgkill_zero_is_einval) { CHECK_ERR(syscall(SYS_tgkill, 0, 0, SIGUSR1), EINVAL); }
CASE(rt_sigqueueinfo_cannot_fake_the_kernel)
{
	siginfo_t info = { .si_code = SI_KERNEL };
	pid_t pid = fork();
	if (!pid)
		for (;;)
			pause();
	CHECK_ERR(syscall(SYS_rt_sigqueueinfo, pid, SIGUSR1, &info), EPERM);
	kill(pid, SIGKILL);
	guest_wait(pid);
}
CASE(fork_clears_pending_signals)
{
	sigset_t pending;
	block(SIGUSR1);
	raise(SIGUSR1);
	pid_t pid = fork();
	if (!pid) {
		sigpending(&pending);
		_exit(sigismember(&pending, SIGUSR1));
	}
	CHECK_CHILD_OK(pid);
}
