/* SPDX-License-Identifier: Apache-2.0
 * `sluice doctor`: what this kernel can do, found by trying, and what sluice does without it.
 *
 * One row a feature: its name, whether it works here, what that means. A row is "less" where sluice
 * works without, and "no" where something that it promises is then refused.
 */
#include "core/command/command.h"
#include "core/command/help.h"
#include "core/features.h"

#include <json.h>
#include <stdio.h>
#include <string.h>

enum state { WORKS, LESS, MISSING };

struct row {
	const char *name;  /* as shown; in JSON with '_' for blanks */
	enum state state;
	const char *means; /* as it is here */
};

#define MAX_ROWS 24

struct report {
	struct row rows[MAX_ROWS];
	unsigned n;
	bool can_run;
	const char *verdict;
};

static void add(struct report *r, const char *name, enum state state, const char *means)
{
	if (r->n < MAX_ROWS)
		r->rows[r->n++] = (struct row){name, state, means};
}

static void add_if(struct report *r, const char *name, bool works, enum state without, const char *with_it,
		   const char *without_it)
{
	add(r, name, works ? WORKS : without, works ? with_it : without_it);
}

static void add_landlock(struct report *r, int abi)
{
	static const struct {
		int abi;
		const char *name, *with_it, *without_it;
	} rights[] = {
		{2, "Landlock: rename and link", "between directories, without the supervisor",
		 "between directories: done by the supervisor"},
		{3, "Landlock: truncate", "kept by the kernel", "trapped, done by the supervisor"},
		{4, "Landlock: TCP", "connect and bind can be kept by the kernel", "kept by the filter alone"},
		{5, "Landlock: devices", "ioctl on devices is kept by the kernel",
		 "ioctl on an opened device is not restricted"},
		{6, "Landlock: scopes", "the kernel keeps signals and abstract sockets inside; if sluice dies, the tree dies in "
		 "milliseconds",
		 "signals are judged one by one; if sluice dies, the tree is hunted down by /proc, within a second"},
		{9, "Landlock: socket files", "connecting to a socket file is kept by the kernel",
		 "connecting to a socket file is judged by the supervisor"},
	};

	add_if(r, "Landlock", abi > 0, LESS, "the kernel enforces, the supervisor only expands",
	       "not there, or off (boot with lsm=landlock,...): all is emulated, as --layers emulate does, and "
	       "exec can't be restricted");
	for (size_t i = 0; abi > 0 && i < sizeof(rights) / sizeof(rights[0]); i++)
		add_if(r, rights[i].name, abi >= rights[i].abi, LESS, rights[i].with_it, rights[i].without_it);
}

static void add_supervision(struct report *r, const struct features *f)
{
	add_if(r, "seccomp", f->seccomp_filter, MISSING, "calls are filtered by their registers",
	       "this kernel has no seccomp filters");
	if (f->listener_busy)
		add(r, "supervisor", MISSING,
		    "this process has one already (a container runtime, or another sluice), and the kernel allows "
		    "one: rules that `sluice explain --plan` marks \"supervisor\" are refused; run sluice outside "
		    "of it");
	else
		add_if(r, "supervisor", f->user_notif, MISSING, "calls can be decided live",
		       "needs seccomp user notification (Linux 5.9): only what Landlock and registers decide is left");
	if (!f->user_notif)
		return;
	add_if(r, "uninterrupted replies", f->wait_killable_recv, LESS,
	       "a signal does not repeat a call that was already done",
	       "needs Linux 5.19: a signal at the wrong moment can make a program see EINTR, or EEXIST for "
	       "what it made itself");
	add_if(r, "same-CPU wake-up", f->sync_wake_up, LESS, "a decision costs about 10 us",
	       "needs Linux 6.6: a decision costs about 50 us");
	add_if(r, "descriptors in one step", f->addfd_send, LESS, "opened files are handed over atomically",
	       f->pidfd_getfd ? "needs Linux 5.14: in two steps" :
				"could not be tried without pidfd_getfd: in two steps");
	add_if(r, "reading memory", f->process_vm_readv, f->proc_mem ? LESS : MISSING, "by process_vm_readv",
	       f->proc_mem ? "process_vm_readv is denied: by /proc/PID/mem, slower" :
			     "denied (Yama, or a container's seccomp profile): every call with a path is refused");
	add_if(r, "taking descriptors", f->pidfd_getfd, LESS, "connections are made on the command's own sockets",
	       "pidfd_getfd is denied: calls on the command's sockets are refused where they can't be continued");
	add_if(r, "threads by pidfd", f->pidfd_thread, LESS, "each thread has its own view",
	       f->kcmp ? "needs Linux 6.9: calls on descriptors are refused to a thread that unshared them, or outlived "
			 "its process's first" :
			 "needs Linux 6.9, or kcmp: calls on descriptors are refused to all threads of a process but its "
			 "first");
	add_if(r, "openat2", f->openat2, MISSING, "names are resolved without following what must not be",
	       "not there (Linux 5.6), or forbidden by a container's seccomp profile: nothing can be run");
	add_if(r, "io_uring", f->io_uring, LESS, "readiness comes by io_uring",
	       "not there, or disabled: --backend epoll is used");
	add_if(r, "ptrace", f->ptrace, LESS, "--on-death ptrace and interrupted blocking calls work",
	       "denied: no --on-death ptrace; a call that blocks on the command's behalf sees no signal that it handles");
}

static void examine(const struct features *f, struct report *ret)
{
	bool supervised = f->user_notif && f->openat2 && (f->process_vm_readv || f->proc_mem);

	*ret = (struct report){.can_run = f->seccomp_filter && f->openat2 && (supervised || f->landlock_abi > 0)};
	add_landlock(ret, f->landlock_abi);
	add_supervision(ret, f);
	if (supervised && f->landlock_abi > 0)
		ret->verdict = "sluice run works here";
	else if (supervised)
		ret->verdict = "sluice run works here, by emulation alone";
	else if (ret->can_run)
		ret->verdict = "sluice run works here for policies that need no supervisor";
	else
		ret->verdict = "sluice run can't work here";
}

static void print_text(const struct features *f, const struct report *r)
{
	static const char *const words[] = {[WORKS] = "ok", [LESS] = "less", [MISSING] = "NO"};

	printf("sluice %s on Linux %s", SLUICE_VERSION, f->kernel);
	if (f->landlock_abi > 0)
		printf(", Landlock ABI %d", f->landlock_abi);
	printf("\n\n");
	for (unsigned i = 0; i < r->n; i++)
		printf("%-5s %-26s %s\n", words[r->rows[i].state], r->rows[i].name, r->rows[i].means);
	printf("\n%s\n", r->verdict);
}

static void print_json(const struct features *f, const struct report *r)
{
	static const char *const words[] = {[WORKS] = "ok", [LESS] = "less", [MISSING] = "missing"};
	struct json_object *top = json_object_new_object(), *list = json_object_new_array();

	json_object_object_add(top, "version", json_object_new_string(SLUICE_VERSION));
	json_object_object_add(top, "kernel", json_object_new_string(f->kernel));
	json_object_object_add(top, "landlock_abi", json_object_new_int(f->landlock_abi));
	json_object_object_add(top, "run_works", json_object_new_boolean(r->can_run));
	json_object_object_add(top, "verdict", json_object_new_string(r->verdict));
	for (unsigned i = 0; i < r->n; i++) {
		struct json_object *row = json_object_new_object();

		json_object_object_add(row, "feature", json_object_new_string(r->rows[i].name));
		json_object_object_add(row, "state", json_object_new_string(words[r->rows[i].state]));
		json_object_object_add(row, "means", json_object_new_string(r->rows[i].means));
		json_object_array_add(list, row);
	}
	json_object_object_add(top, "features", list);
	puts(json_object_to_json_string_ext(top, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(top);
}

int command_doctor(int argc, char **argv)
{
	struct features features;
	struct report report;
	bool json = false;
	int r;

	(void)argc;
	for (char **arg = argv + 1; *arg; arg++) {
		if (strcmp(*arg, "--help") == 0 || strcmp(*arg, "-h") == 0) {
			help_print(stdout, "doctor");
			return 0;
		}
		if (strcmp(*arg, "--json") != 0) {
			fprintf(stderr, "sluice doctor: unknown word \"%.200s\": --help lists the options\n", *arg);
			return 2;
		}
		json = true;
	}
	r = features_probe(&features);
	if (r < 0) {
		fprintf(stderr, "sluice doctor: can't try what this kernel can do: %s\n", strerror(-r));
		return 1;
	}
	examine(&features, &report);
	if (json)
		print_json(&features, &report);
	else
		print_text(&features, &report);
	return report.can_run ? 0 : 1;
}
