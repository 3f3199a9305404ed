/* SPDX-License-Identifier: Apache-2.0
 * Opens of 1, 2, 8 and 64 targets at once: natively; under the bare supervisor, which lets them go on or opens the
 * file in one of two forms; under the pool of sluice's workers, which lets them go on as well; under `sluice run -p
 * open`, without and with --layers emulate. With CPUs that may idle, that are kept awake, and all on one CPU. Time is
 * that of one open in the whole: wall time over all opens of all targets. SLUICE in the environment names the sluice;
 * else it is the one of this build.
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

enum way { NATIVE, BARE, BARE_ADDFD, BARE_ADDFD_SEND, POOL, SLUICE, EMULATE };
enum cpus { FREE, BUSY, PINNED };
const char *const way_names[] = {"native", "bare", "bare-addfd", "bare-addfd-send", "pool", "sluice",
				 "sluice-emulate"};
std::string self_path, sluice_path;
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

	Targets(int n, enum way way)
	{
		std::vector<std::string> words = {self_path, "--targets", std::to_string(n)};
		std::vector<char *> argv;
		int keep[2] = {dup(0), dup(1)};

		if (way == EMULATE)
			words.insert(words.begin(),
				     {sluice_path, "run", "-q", "-p", "open", "--layers", "emulate", "--"});
		else if (way == SLUICE)
			words.insert(words.begin(), {sluice_path, "run", "-q", "-p", "open", "--"});
		for (std::string &word : words)
			argv.push_back(word.data());
		argv.push_back(nullptr);
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair_) < 0)
			abort();
		dup2(pair_[1], 0);
		dup2(pair_[1], 1);
		if (way == SLUICE || way == EMULATE)
			start(argv.data());
		else if (bare_start(&call_openat, way == NATIVE ? 0 : 1, argv.data(), &pid_, &listener) < 0)
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

	/* A supervisor of its own: below the listener of another there is none. */
	void start(char *const *argv)
	{
		pid_ = fork();
		if (pid_ < 0)
			abort();
		if (pid_ == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			execv(argv[0], argv);
			_exit(127);
		}
	}
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

void serve_bare(int listener, enum way way)
{
	if (way == BARE)
		bare_serve(listener, &call_openat, 1);
	else
		bare_serve_opens(listener, way == BARE_ADDFD ? BARE_TWO_STEP : BARE_SEND);
}

void opens(benchmark::State &state, enum way way, enum cpus cpus)
{
	Spinners spinners(cpus == BUSY);
	Pin pin(cpus == PINNED);
	Targets t(int(state.range(0)), way);
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
	if (way == BARE || way == BARE_ADDFD || way == BARE_ADDFD_SEND)
		server = std::thread(serve_bare, t.listener, way);
	else if (way == POOL && pool_start(&config, &pool) < 0)
		abort();
	t.batch_seconds(); /* its loader is done */
	for (auto _ : state)
		state.SetIterationTime(t.batch_seconds() / BATCH);
	t.end();
	if (server.joinable())
		server.join();
	if (pool) {
		pool_stop(pool);
		pool_free(pool);
	}
	if (t.listener >= 0)
		close(t.listener);
}

void find_programs()
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self));
	const char *given = getenv("SLUICE");

	self_path.assign(self, n > 0 ? size_t(n) : 0);
	sluice_path = given ? given : self_path.substr(0, self_path.rfind('/')) + "/../sluice";
	if (access(sluice_path.c_str(), X_OK) < 0) {
		fprintf(stderr, "micro_targets: there is no %s: SLUICE=FILE names it\n", sluice_path.c_str());
		exit(1);
	}
}

} // namespace

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--targets") == 0)
		return target_main(atoi(argv[2]));
	find_programs();
	for (int cpus = FREE; cpus <= PINNED; cpus++)
		for (int way = NATIVE; way <= EMULATE; way++) {
			std::string name = std::string("open/cpus:") + cpus_names[cpus] + "/way:" + way_names[way];

			benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State &state) {
				opens(state, static_cast<enum way>(way), static_cast<enum cpus>(cpus));
			})->ArgName("targets")->Arg(1)->Arg(2)->Arg(8)->Arg(64)->UseManualTime()
				->Unit(benchmark::kMicrosecond)->Iterations(3);
		}
	benchmark::Initialize(&argc, argv);
	benchmark::RunSpecifiedBenchmarks();
	return 0;
}
