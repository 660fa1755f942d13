/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Claims about threads: futexes, pthreads, robust lists, scheduling. */
#include "case.h"
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/eventfd.h>

static long futex(_Atomic uint32_t *word, int op, uint32_t value, const void *timeout, void *word2, uint32_t value3)
{
	return syscall(SYS_futex, word, op, value, timeout, word2, value3);
}
static void *wake_soon(void *word)
{
	guest_sleep_ms(30);
	atomic_store((_Atomic uint32_t *)word, 1);
	futex(word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	return NULL;
}
static _Atomic int counter;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int guarded;
static void *count(void *times)
{
	for (long i = 0; i < (long)times; i++) {
		atomic_fetch_add(&counter, 1);
		pthread_mutex_lock(&mutex);
		guarded++;
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

CASE(futex_wait_other_value_is_eagain)
{
	_Atomic uint32_t word = 1;
	CHECK_ERR(futex(&word, FUTEX_WAIT, 2, NULL, NULL, 0), EAGAIN);
}
CASE(futex_wait_times_out)
{
	_Atomic uint32_t word = 1;
	struct timespec soon = { 0, 20000000 };
	CHECK_ERR(futex(&word, FUTEX_WAIT, 1, &soon, NULL, 0), ETIMEDOUT);
}
CASE(futex_wait_bitset_uses_absolute_time)
{
	_Atomic uint32_t word = 1;
	struct timespec past = { 0, 1 };
	CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET, 1, &past, NULL, ~0U), ETIMEDOUT);
}
CASE(futex_empty_bitset_is_einval)
{
	_Atomic uint32_t word = 1;
	CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET, 1, NULL, NULL, 0), EINVAL);
}
CASE(futex_misaligned_is_einval)
{
	static char area[16];
	CHECK_ERR(futex((void *)(area + 1), FUTEX_WAIT, 0, NULL, NULL, 0), EINVAL);
}
CASE(futex_unmapped_is_efault) { CHECK_ERR(futex((void *)0x1000, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT); }
CASE(futex_bad_timeout_is_einval)
{
	_Atomic uint32_t word = 1;
	struct timespec bad = { 0, -1 };
	CHECK_ERR(futex(&word, FUTEX_WAIT, 1, &bad, NULL, 0), EINVAL);
}
CASE(futex_unknown_operation_is_enosys)
{
	_Atomic uint32_t word = 1;
	CHECK_ERR(futex(&word, 99, 1, NULL, NULL, 0), ENOSYS);
}
CASE(futex_wake_without_waiters_is_zero)
{
	_Atomic uint32_t word = 1;
	CHECK_EQ(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
}
CASE(futex_wake_wakes)
{
	static _Atomic uint32_t word;
	pthread_t thread;
	CHECK_EQ(pthread_create(&thread, NULL, wake_soon, &word), 0);
	while (!atomic_load(&word))
		futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	pthread_join(thread, NULL);
}
CASE(futex_crosses_processes_in_shared_memory)
{
	_Atomic uint32_t *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();
	if (!pid) {
		guest_sleep_ms(30);
		atomic_store(word, 1);
		futex(word, FUTEX_WAKE, 1, NULL, NULL, 0);
		_exit(0);
	}
	while (!atomic_load(word))
		futex(word, FUTEX_WAIT, 0, NULL, NULL, 0);
	CHECK_CHILD_OK(pid);
}
static _Atomic uint32_t first_word, second_word;
static void *wait_first(void *arg)
{
	(void)arg;
	futex(&first_word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	return NULL;
}
CASE(futex_requeue_moves_waiters)
{
	pthread_t threads[3];
	for (int i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, wait_first, NULL), 0);
	guest_sleep_ms(60);
	CHECK_EQ(futex(&first_word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)10L, &second_word, 0), 3);
	CHECK_EQ(futex(&second_word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 2);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}
CASE(futex_cmp_requeue_other_value_is_eagain)
{
	CHECK_ERR(futex(&first_word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1L, &second_word, 7), EAGAIN);
}
CASE(futex_wake_op_changes_the_word)
{
	CHECK_EQ(futex(&first_word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1L, &second_word,
		       FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 0)), 0);
	CHECK_EQ(atomic_load(&second_word), 5);
}
CASE(futex_lock_pi_takes_a_free_lock)
{
	_Atomic uint32_t word = 0;
	CHECK_EQ(futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
	CHECK_EQ(atomic_load(&word) & FUTEX_TID_MASK, (uint32_t)syscall(SYS_gettid));
	CHECK_ERR(futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), EDEADLK);
	CHECK_EQ(futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
	CHECK_EQ(atomic_load(&word), 0);
	CHECK_ERR(futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), EPERM);
}
CASE(threads_share_memory)
{
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, count, (void *)1000L), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(atomic_load(&counter), 4000);
	CHECK_EQ(guarded, 4000);
}
static void *own_tid(void *arg)
{
	(void)arg;
	return (void *)syscall(SYS_gettid);
}
CASE(threads_have_own_ids_and_one_pid)
{
	void *tid;
	pthread_t thread;
	CHECK_EQ(syscall(SYS_gettid), getpid());
	pthread_create(&thread, NULL, own_tid, NULL);
	pthread_join(thread, &tid);
	CHECK((long)tid != getpid());
}
CASE(thousand_short_threads)
{
	pthread_t thread;
	for (int i = 0; i < 1000; i++) {
		CHECK_EQ(pthread_create(&thread, NULL, own_tid, NULL), 0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
	}
}
static void *sleeper(void *arg)
{
	for (;;)
		pause();
	return arg;
}
CASE(exit_group_ends_all_threads)
{
	pid_t pid = fork();
	if (!pid) {
		pthread_t thread;
		for (int i = 0; i < 5; i++)
			pthread_create(&thread, NULL, sleeper, NULL);
		_exit(3);
	}
	CHECK_EQ(WEXITSTATUS(guest_wait(pid)), 3);
}
static void *exit_soon(void *arg)
{
	guest_sleep_ms(30);
	exit(4);
	return arg;
}
CASE(leader_exit_leaves_the_process)
{
	pid_t pid = fork();
	if (!pid) {
		pthread_t thread;
		pthread_create(&thread, NULL, exit_soon, NULL);
		pthread_exit(NULL);
	}
	CHECK_EQ(WEXITSTATUS(guest_wait(pid)), 4);
}
CASE(exec_from_a_thread_leaves_one)
{
	pid_t pid = fork();
	if (!pid) {
		pthread_t thread;
		char *args[] = { "x", "threads_have_own_ids_and_one_pid", NULL };
		pthread_create(&thread, NULL, sleeper, NULL);
		execv("/proc/self/exe", args);
		_exit(9);
	}
	CHECK_CHILD_OK(pid);
}
static volatile pthread_t signalled;
static void note_thread(int signal)
{
	(void)signal;
	signalled = pthread_self();
}
CASE(pthread_kill_reaches_its_thread)
{
	pthread_t thread;
	signal(SIGUSR1, note_thread);
	pthread_create(&thread, NULL, sleeper, NULL);
	CHECK_EQ(pthread_kill(thread, SIGUSR1), 0);
	for (int i = 0; i < 100 && !signalled; i++)
		guest_sleep_ms(10);
	CHECK(pthread_equal(signalled, thread));
}
static _Atomic int tls_seen;
static __thread int tls_value = 7;
static void *tls_check(void *arg)
{
	if (tls_value == 7)
		atomic_fetch_add(&tls_seen, 1);
	tls_value = 8;
	return arg;
}
CASE(thread_local_storage_is_fresh)
{
	pthread_t thread;
	tls_value = 9;
	pthread_create(&thread, NULL, tls_check, NULL);
	pthread_join(thread, NULL);
	CHECK_EQ(tls_seen, 1);
	CHECK_EQ(tls_value, 9);
}
static pthread_mutex_t robust;
static void *die_with_lock(void *arg)
{
	pthread_mutex_lock(&robust);
	return arg;
}
CASE(robust_mutex_tells_of_a_dead_owner)
{
	pthread_mutexattr_t attributes;
	pthread_t thread;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &attributes);
	pthread_create(&thread, NULL, die_with_lock, NULL);
	pthread_join(thread, NULL);
	CHECK_EQ(pthread_mutex_lock(&robust), EOWNERDEAD);
}
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
CASE(condition_wait_times_out)
{
	struct timespec when;
	clock_gettime(CLOCK_REALTIME, &when);
	when.tv_nsec += 30000000;
	when.tv_sec += when.tv_nsec / 1000000000;
	when.tv_nsec %= 1000000000;
	pthread_mutex_lock(&mutex);
	CHECK_EQ(pthread_cond_timedwait(&condition, &mutex, &when), ETIMEDOUT);
}
static int turns;
static void *take_turns(void *arg)
{
	for (int i = 0; i < 500; i++) {
		pthread_mutex_lock(&mutex);
		while (turns % 2 != (int)(long)arg)
			pthread_cond_wait(&condition, &mutex);
		turns++;
		pthread_cond_broadcast(&condition);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}
CASE(two_threads_take_turns)
{
	pthread_t a, b;
	pthread_create(&a, NULL, take_turns, (void *)0L);
	pthread_create(&b, NULL, take_turns, (void *)1L);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	CHECK_EQ(turns, 1000);
}
CASE(spinning_thread_is_preempted)
{
	static _Atomic int go;
	pthread_t thread;
	pthread_create(&thread, NULL, wake_soon, (void *)&go);
	while (!atomic_load(&go))
		;
	pthread_join(thread, NULL);
}
CASE(sched_yield_succeeds) { CHECK_EQ(sched_yield(), 0); }
CASE(affinity_has_a_processor)
{
	cpu_set_t set;
	CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
	CHECK(CPU_COUNT(&set) >= 1);
}
CASE(getcpu_is_inside_the_affinity)
{
	cpu_set_t set;
	unsigned cpu;
	CHECK_EQ(syscall(SYS_getcpu, &cpu, NULL, NULL), 0);
	CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
	CHECK(CPU_ISSET(cpu, &set));
}
CASE(scheduler_is_other)
{
	struct sched_param param;
	CHECK_EQ(sched_getscheduler(0), SCHED_OTHER);
	CHECK_EQ(sched_getparam(0, &param), 0);
	CHECK_EQ(param.sched_priority, 0);
}
CASE(scheduler_bad_policy_is_einval)
{
	struct sched_param param = { 0 };
	CHECK_ERR(syscall(SYS_sched_setscheduler, 0, 77, &param), EINVAL);
}
CASE(priority_limits_are_linux)
{
	CHECK_EQ(sched_get_priority_max(SCHED_FIFO), 99);
	CHECK_EQ(sched_get_priority_min(SCHED_FIFO), 1);
	CHECK_EQ(sched_get_priority_max(SCHED_OTHER), 0);
	CHECK_ERR(sched_get_priority_max(77), EINVAL);
}
CASE(set_tid_address_returns_the_tid) { int word; CHECK_EQ(syscall(SYS_set_tid_address, &word), getpid()); }
CASE(robust_list_bad_length_is_einval) { CHECK_ERR(syscall(SYS_set_robust_list, NULL, 3), EINVAL); }
CASE(membarrier_query_answers) { CHECK(syscall(SYS_membarrier, 0, 0, 0) >= 0); }
static _Atomic int is_spinning;
static void *spin(void *word)
{
	is_spinning = 1;
	while (!atomic_load((_Atomic int *)word))
		;
	return NULL;
}
CASE(membarrier_must_be_announced)
{
	static _Atomic int go;
	pthread_t thread;
	CHECK_ERR(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), EPERM);
	CHECK_ERR(syscall(SYS_membarrier, 1 << 20, 0, 0), EINVAL);
	CHECK_ERR(syscall(SYS_membarrier, 0, 7, 0), EINVAL);
	CHECK_EQ(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0), 0);
	pthread_create(&thread, NULL, spin, (void *)&go);
	while (!is_spinning)
		sched_yield();
	CHECK_EQ(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), 0);
	go = 1;
	pthread_join(thread, NULL);
}
