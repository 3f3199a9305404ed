/* SPDX-License-Identifier: Apache-2.0
 * Opens of 1, 2, 8 and 64 targets at once, natively, under the bare supervisor and under the pool, which does
 * the same with each notification; with CPUs that may idle, that are kept awake, and all on one CPU.
 * Time is that of one open in the whole: wall time over all opens of all targets.
 */
extern "C" {
#include "bench/bare_supervisor.h"
#include "core/notify/pool.h"
#include "core/sys.h"
}

#include <benchmark/benchmark.h>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <sched.h>
#include <signal.h>
#include <string>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <thread>
#include <vector>

namespace {

const struct bare_call call_openat = {SYS_openat, 1};
constexpr int BATCH = 4096; /* opens of all targets together */

uint64_t now_ns()
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return uint64_t(t.tv_sec) * 1000000000u + uint64_t(t.tv_nsec);
}

/* One target: a batch for each byte on FD. */
[[noreturn]] void opener(int fd, int opens)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(fd, &byte, 1) == 1) {
		for (int i = 0; i < opens; i++)
			close(open("/dev/null", O_RDONLY | O_CLOEXEC));
		if (write(fd, &byte, 1) != 1)
			break;
	}
	_exit(0);
}

/* The first of the tree: for each byte on stdin all targets at once, and their time on stdout. */
int target_main(int n)
{
	std::vector<int> fds;
	char byte = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < n; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
			return 1;
		if (fork() == 0)
			opener(pair[1], BATCH / n);
		close(pair[1]);
		fds.push_back(pair[0]);
	}
	while (read(0, &byte, 1) == 1) {
		uint64_t start = now_ns();

		for (int fd : fds)
			if (write(fd, &byte, 1) != 1)
				return 1;
		for (int fd : fds)
			if (read(fd, &byte, 1) != 1)
				return 1;
		start = now_ns() - start;
		if (write(1, &start, sizeof(start)) != sizeof(start))
			return 1;
	}
	return 0;
}

enum way { NATIVE, BARE, POOL };
enum cpus { FREE, BUSY, PINNED };
const char *const way_names[] = {"native", "bare", "sluice"};
const char *const cpus_names[] = {"free", "busy", "pinned"};

/* CPUs that never idle, but are anybody's at once. */
class Spinners {
public:
	explicit Spinners(bool wanted)
	{
		struct sched_param least = {};

		for (unsigned i = 0; wanted && i < std::thread::hardware_concurrency(); i++) {
			pid_t pid = fork();

			if (pid == 0) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				sched_setscheduler(0, SCHED_IDLE, &least);
				for (;;)
					__asm__ volatile("pause");
			}
			pids_.push_back(pid);
		}
	}
	~Spinners()
	{
		for (pid_t pid : pids_) {
			kill(pid, SIGKILL);
			waitpid(pid, nullptr, 0);
		}
	}

private:
	std::vector<pid_t> pids_;
};

/* This process, its threads and its children on one CPU, for as long as it lives. */
class Pin {
public:
	explicit Pin(bool wanted)
	{
		cpu_set_t one;

		sched_getaffinity(0, sizeof(before_), &before_);
		CPU_ZERO(&one);
		for (int i = 0; i < CPU_SETSIZE && wanted; i++)
			if (CPU_ISSET(i, &before_)) {
				CPU_SET(i, &one);
				sched_setaffinity(0, sizeof(one), &one);
				break;
			}
	}
	~Pin()
	{
		sched_setaffinity(0, sizeof(before_), &before_);
	}

private:
	cpu_set_t before_;
};

class Targets {
public:
	int listener = -1;

	Targets(int n, bool trapped)
	{
		char self[] = "/proc/self/exe", arg[] = "--targets";
		std::string number = std::to_string(n);
		char *argv[] = {self, arg, number.data(), nullptr};
		int keep[2] = {dup(0), dup(1)};

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair_) < 0)
			abort();
		dup2(pair_[1], 0);
		dup2(pair_[1], 1);
		if (bare_start(&call_openat, trapped ? 1 : 0, argv, &pid_, &listener) < 0)
			abort();
		for (int i = 0; i < 2; i++) {
			dup2(keep[i], i);
			close(keep[i]);
		}
		close(pair_[1]);
	}
	~Targets()
	{
		close(pair_[0]);
	}
	void end()
	{
		kill(pid_, SIGKILL); /* its children die with it */
		waitpid(pid_, nullptr, 0);
	}
	double batch_seconds()
	{
		uint64_t ns;

		if (write(pair_[0], "x", 1) != 1 || read(pair_[0], &ns, sizeof(ns)) != sizeof(ns))
			abort();
		return double(ns) * 1e-9;
	}

private:
	int pair_[2];
	pid_t pid_;
};

void serve(void *ctx, struct worker *, const struct seccomp_notif *notif)
{
	int listener = *static_cast<int *>(ctx);
	char path[256];
	uint64_t address = notif->data.args[1];
	size_t left = 4096 - (address & 4095);
	struct iovec local = {path, left < sizeof(path) ? left : sizeof(path)};
	struct iovec remote = {reinterpret_cast<void *>(address), local.iov_len};
	struct seccomp_notif_resp resp = {};

	benchmark::DoNotOptimize(process_vm_readv(pid_t(notif->pid), &local, 1, &remote, 1, 0));
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &notif->id) < 0)
		return;
	resp.id = notif->id;
	resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

void opens(benchmark::State &state, enum way way, enum cpus cpus)
{
	Spinners spinners(cpus == BUSY);
	Pin pin(cpus == PINNED);
	Targets t(int(state.range(0)), way != NATIVE);
	struct features features = {};
	struct pool_config config = {};
	struct pool *pool = nullptr;
	std::thread server;

	features.sync_wake_up = features.io_uring = true;
	config.listener = t.listener;
	config.use_uring = true;
	config.features = &features;
	config.serve = serve;
	config.ctx = &t.listener;
	if (way == BARE)
		server = std::thread([&] { bare_serve(t.listener, &call_openat, 1); });
	else if (way == POOL && pool_start(&config, &pool) < 0)
		abort();
	t.batch_seconds(); /* its loader is done */
	for (auto _ : state)
		state.SetIterationTime(t.batch_seconds() / BATCH);
	t.end();
	if (way == BARE)
		server.join();
	if (pool) {
		pool_stop(pool);
		pool_free(pool);
	}
	if (t.listener >= 0)
		close(t.listener);
}

} // namespace

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--targets") == 0)
		return target_main(atoi(argv[2]));
	for (int cpus = FREE; cpus <= PINNED; cpus++)
		for (int way = NATIVE; way <= POOL; way++) {
			std::string name = std::string("open/cpus:") + cpus_names[cpus] + "/way:" + way_names[way];

			benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State &state) {
				opens(state, static_cast<enum way>(way), static_cast<enum cpus>(cpus));
			})->ArgName("targets")->Arg(1)->Arg(2)->Arg(8)->Arg(64)->UseManualTime()
				->Unit(benchmark::kMicrosecond)->Iterations(8);
		}
	benchmark::Initialize(&argc, argv);
	benchmark::RunSpecifiedBenchmarks();
	return 0;
}
