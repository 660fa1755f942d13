/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a C library does at run time, for musl: linked dynamically and statically. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <iconv.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <netdb.h>
#include <pthread.h>
#include <pwd.h>
#include <regex.h>
#include <search.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include <wordexp.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t all;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static __thread int own;
static int sum, next_turn, started, destroyed;

static void start(void) { started++; }
static void destroy(void *value) { destroyed += (int)(long)value; }
static void *worker(void *number)
{
	int me = (int)(long)number;
	pthread_once(&once, start);
	pthread_setspecific(key, (void *)(long)(me + 1));
	pthread_barrier_wait(&all);
	for (int i = 0; i < 100; i++) {
		pthread_mutex_lock(&lock);
		while (next_turn % 8 != me)
			pthread_cond_wait(&turn, &lock);
		next_turn++;
		sum += ++own;
		pthread_cond_broadcast(&turn);
		pthread_mutex_unlock(&lock);
	}
	return (void *)(long)own;
}
static void *sleeper(void *unused)
{
	pthread_cleanup_push(destroy, (void *)1000);
	for (;;)
		pause();
	pthread_cleanup_pop(0);
	return unused;
}
static void threads(void)
{
	pthread_t thread[8];
	long total = 0;
	pthread_key_create(&key, destroy);
	pthread_barrier_init(&all, NULL, 8);
	for (long i = 0; i < 8; i++)
		pthread_create(&thread[i], NULL, worker, (void *)i);
	for (int i = 0; i < 8; i++) {
		void *result;
		pthread_join(thread[i], &result);
		total += (long)result;
	}
	printf("threads %d %ld once %d destroyed %d\n", sum, total, started, destroyed);
	pthread_create(&thread[0], NULL, sleeper, NULL);
	usleep(20000);
	pthread_cancel(thread[0]);
	void *result;
	pthread_join(thread[0], &result);
	printf("cancelled %d %d\n", result == PTHREAD_CANCELED, destroyed);
	sem_t sem;
	sem_init(&sem, 0, 0);
	struct timespec soon;
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec = (soon.tv_nsec + 20000000) % 1000000000;
	soon.tv_sec += soon.tv_nsec < 20000000;
	printf("semaphore %d %d\n", sem_timedwait(&sem, &soon), errno == ETIMEDOUT);
}

static void text(void)
{
	char buffer[200], *loc = setlocale(LC_ALL, "");
	printf("locale %s %s\n", loc ? "set" : "none", nl_langinfo(CODESET));
	printf("%5d|%-6s|%08.3f|%a|%e|%g|%Lf|%x|%zu|%c|%%|%+d|%'d\n", 42, "ab", 3.14159, 1.5, 12345.678, 1e-7, 2.5L, 255,
	       (size_t)7, 'z', 5, 1234567);
	printf("%ls %zu %d\n", L"wide \u00e4\u20ac", mbstowcs(NULL, "\xc3\xa4\xe2\x82\xac", 0), wcwidth(L'\u4e2d'));
	struct tm tm = { .tm_year = 99, .tm_mon = 11, .tm_mday = 31, .tm_hour = 23, .tm_min = 59, .tm_isdst = -1 };
	time_t when = timegm(&tm) + 60;
	strftime(buffer, sizeof buffer, "%A %d %B %Y %H:%M:%S %j %U", gmtime(&when));
	printf("%s %g %ld %s\n", buffer, strtod("0x1.8p3", NULL), strtol("-0777", NULL, 0), strerror(ENOENT));
	regex_t regex;
	regmatch_t match[3];
	regcomp(&regex, "([a-z]+)=([0-9]+)", REG_EXTENDED);
	printf("regex %d %d\n", regexec(&regex, "x: key=4711;", 3, match, 0), (int)match[2].rm_so);
	iconv_t conv = iconv_open("UTF-16LE", "UTF-8");
	char *in = "\xe2\x82\xac", *out = buffer;
	size_t in_left = 3, out_left = sizeof buffer;
	printf("iconv %zu %02x%02x\n", iconv(conv, &in, &in_left, &out, &out_left), buffer[1] & 255, buffer[0] & 255);
	FILE *memory = fmemopen(buffer, sizeof buffer, "w+");
	fprintf(memory, "%d %s", 17, "seventeen");
	rewind(memory);
	int n;
	char word[20];
	printf("scan %d %d %s\n", fscanf(memory, "%d %19s", &n, word), n, word);
	printf("math %.12g %.12g %.12g\n", sin(1), pow(2, 0.5), tgamma(5.5));
}

static sigjmp_buf back;
static volatile int caught;
static void on_signal(int number, siginfo_t *info, void *context)
{
	caught += number == SIGUSR1 ? info->si_value.sival_int : 1000;
	(void)context;
	if (number == SIGSEGV)
		siglongjmp(back, 1);
}
static void processes(char *self)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 7 });
	if (sigsetjmp(back, 1) == 0)
		*(volatile int *)8 = 1;
	printf("signals %d\n", caught);
	fflush(stdout);
	FILE *pipe = popen("echo from a shell; exit 3", "r");
	char line[100];
	fgets(line, sizeof line, pipe);
	printf("popen %s", line);
	printf("status %d\n", WEXITSTATUS(pclose(pipe)));
	fflush(stdout);
	char *arguments[] = { self, "child", NULL }, *environment[] = { "WHO=spawned", NULL };
	pid_t pid;
	int status, error = posix_spawn(&pid, self, NULL, NULL, arguments, environment);
	waitpid(pid, &status, 0);
	printf("spawn %d %d system %d\n", error, WEXITSTATUS(status), WEXITSTATUS(system("exit 5")));
}

static void names(void)
{
	struct addrinfo *found = NULL, hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
	int error = getaddrinfo("localhost", "80", &hints, &found);
	char address[50] = "";
	if (found) {
		struct sockaddr_in *in = (struct sockaddr_in *)found->ai_addr;
		inet_ntop(AF_INET, &in->sin_addr, address, sizeof address);
		printf("localhost %d %s %d\n", error, address, ntohs(in->sin_port));
	} else
		printf("localhost %d\n", error);
	struct passwd *user = getpwuid(0);
	printf("user %s %s\n", user ? user->pw_name : "none", user ? user->pw_dir : "");
	struct dirent **list;
	int n = scandir("/usr/lib", &list, NULL, alphasort);
	for (int i = 0; i < n; i++)
		printf("%s ", list[i]->d_name);
	printf("(%d)\n", n);
	wordexp_t words;
	printf("wordexp %d", wordexp("$WORD /e*c", &words, 0));
	for (size_t i = 0; i < words.we_wordc; i++)
		printf(" %s", words.we_wordv[i]);
	printf("\n");
}

static void library(void)
{
	void *handle = dlopen("/usr/lib/plug.so", RTLD_NOW);
	if (!handle) {
		printf("dlopen %s\n", strstr(dlerror(), "upport") ? "is not supported" : "fails");
		return;
	}
	int (*twice)(int) = (int (*)(int))dlsym(handle, "twice");
	int *count = dlsym(handle, "count");
	int four = twice(2), hundred = twice(50);
	printf("dlopen %d %d count %d missing %d\n", four, hundred, *count, dlsym(handle, "nothing") == NULL);
	Dl_info info;
	printf("dladdr %d %s\n", dladdr((void *)twice, &info), info.dli_sname);
	printf("dlclose %d\n", dlclose(handle));
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		printf("child %s\n", getenv("WHO"));
		return 9;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	text();
	threads();
	processes(argv[0]);
	names();
	library();
	char *block = malloc(1 << 20);
	block = realloc(block, 64 << 20);
	block[(64 << 20) - 1] = 1;
	free(block);
	puts("musl: done");
	return 0;
}
