/* SPDX-License-Identifier: Apache-2.0
 * The texts of --help, one a command. man/sluice.1 says the same at length.
 */
#include "core/command/help.h"

#include <string.h>

#define POLICY_OPTIONS \
	"  -p NAME|FILE        the policy: a profile by name, or a file (its path has a /);\n" \
	"                      may be repeated; -p none starts from nothing; default: build\n" \
	"  --allow OPS:TARGET  add a rule for this run, above all policies; OPS are\n" \
	"  --ask OPS:TARGET    read list write create delete exec meta stat connect bind,\n" \
	"  --deny OPS:TARGET   or a group: ro rx w rw all; TARGET is one path or pattern,\n" \
	"  --never OPS:TARGET  or connect:*:* for the network; 'OPS TARGET...' works too\n" \
	"  --report WHICH      which refusals to watch: all, writes or none\n" \
	"  --layers WHICH      auto, or emulate: let the supervisor do all that it can\n"

static const struct {
	const char *command; /* NULL: sluice itself */
	const char *text;
} texts[] = {
	{NULL,
	 "usage: sluice COMMAND [options] ...\n"
	 "\n"
	 "Runs a command under a policy that says what it may read, write and execute.\n"
	 "\n"
	 "  run      run a command under a policy:    sluice run -- make -j2\n"
	 "  explain  say what a policy decides:       sluice explain read ~/.ssh/id_ed25519\n"
	 "  trace    say what a command touches:      sluice trace -- make\n"
	 "  learn    make a policy of records:        sluice learn -o my.policy make.jsonl\n"
	 "  log      show what is in a record:        sluice log --verdict deny build.jsonl\n"
	 "  ask      answer the questions of all runs, in a terminal of its own\n"
	 "  ps       list what runs under sluice\n"
	 "  rule     list, add and remove rules of a run: sluice rule add deny read ~/.netrc\n"
	 "  doctor   say what this kernel can do\n"
	 "  help     the options of a command:        sluice help run\n"
	 "\n"
	 "  --help, --version\n"
	 "\n"
	 "See sluice(1), and sluice-policy(5) for the language of policies.\n"},
	{"run",
	 "usage: sluice run [options] [--] COMMAND...\n"
	 "\n"
	 "Runs COMMAND under a policy. Options end at the first word that is none.\n"
	 "\n" POLICY_OPTIONS
	 "\n"
	 "  --prompt WHERE      who answers `ask` rules: tty, socket (`sluice ask` and other\n"
	 "                      clients), exec:PROGRAM, or none (every ask is a no)\n"
	 "  --prompt-timeout S  seconds until an unanswered question is a no; default: 60\n"
	 "  --record FILE       write each access as a line of JSON\n"
	 "  --stats FILE        write counters of the run as JSON\n"
	 "  --name NAME         what to call this run in the record\n"
	 "  --fail-denied       exit 1 if the command succeeded and something was refused\n"
	 "  -v                  show the whole summary, also when the command succeeded\n"
	 "  -q                  show no summary\n"
	 "\n"
	 "  --on-death HOW      who ends the command when sluice dies: warden or ptrace\n"
	 "  --workers N         at most N threads answer the command's calls\n"
	 "  --backend WHICH     auto, uring or epoll\n"
	 "  --gate on|off       let programs open by themselves what the kernel grants them;\n"
	 "                      refusals are still seen; default: off\n"
	 "\n"
	 "Exits as COMMAND does; 125: sluice failed and nothing was started,\n"
	 "126: COMMAND can't be executed, 127: COMMAND was not found.\n"},
	{"explain",
	 "usage: sluice explain [options] OP PATH\n"
	 "       sluice explain [options] --plan\n"
	 "\n"
	 "Says what a policy decides about an operation on a path, and which rule does;\n"
	 "with --plan, which layer enforces each rule, why, and what it costs.\n"
	 "\n" POLICY_OPTIONS
	 "  -v                  show every rule that speaks, and all names of a plan\n"
	 "\n"
	 "Exits 0 for allow, 1 for deny, 3 for ask, 2 after an error.\n"},
	{"trace",
	 "usage: sluice trace [options] [--] COMMAND...\n"
	 "       sluice trace [options] --from RECORD\n"
	 "\n"
	 "Runs COMMAND, lets it do what it may, and says what it read, looked for in vain,\n"
	 "made, changed, removed, executed and connected to, by the names that files have\n"
	 "when links are followed. Without an option for a list, a digest.\n"
	 "\n"
	 "  --inputs            files that were read or executed, but not made by COMMAND\n"
	 "  --outputs           what was made or changed and is still there\n"
	 "  --missing           names that were looked for in vain\n"
	 "  --undeclared FILE   inputs that are not in FILE: a depfile of a compiler, or one\n"
	 "                      name a line (depfile:FILE, list:FILE to be sure); may be\n"
	 "                      repeated; files of the system are left out\n"
	 "  --system            undeclared: name files of the system (/usr, ...) too\n"
	 "  --fail-undeclared   exit 1 if COMMAND succeeded and an input is not declared\n"
	 "  -o FILE             write there instead of standard error\n"
	 "  --json              lists as JSON lines; without a list the record itself\n"
	 "  -0                  a list of exact names, each followed by a NUL\n"
	 "  -v                  a digest with all names\n"
	 "  --record FILE       keep the record, for sluice learn and sluice log\n"
	 "  --from RECORD       no command: tell of a run that was recorded; may be repeated\n"
	 "  --name NAME         what to call this run in the record\n"
	 "\n" POLICY_OPTIONS
	 "\n"
	 "The policy is `open` if none is given. Exits as COMMAND does; 125: sluice failed.\n"},
	{"learn",
	 "usage: sluice learn [options] RECORD...\n"
	 "\n"
	 "Makes a policy of what was recorded by sluice trace --record or sluice run\n"
	 "--record, under which the same commands work. What is dangerous is left out and\n"
	 "listed in comments: read it before you use it.\n"
	 "\n"
	 "  -o FILE             write to FILE instead of standard output\n"
	 "  --incomplete        take records that are not complete\n"
	 "\n"
	 "Exits 0, 1 if a record is not complete, 2 after an error.\n"},
	{"log",
	 "usage: sluice log [options] [FILE...]\n"
	 "\n"
	 "Shows records, as sluice run --record FILE writes them, or what comes on standard\n"
	 "input. Of one kind of filter one must match, of several kinds all.\n"
	 "\n"
	 "  --type TYPE         start, access, exec, fork, exit, ask, lost or end\n"
	 "  --verdict WHICH     allow, deny, or missing: of something that is not there\n"
	 "  --op OPS            read list write create delete exec meta stat connect bind,\n"
	 "                      several with commas, or a group: ro rx w rw all\n"
	 "  --path PATTERN      a path with all beneath it, or a pattern as in a policy\n"
	 "  --exe PATTERN       the program's name, or its path if there is a / in it\n"
	 "  --pid N             this process or thread\n"
	 "  --descendants       and all that it started\n"
	 "  --rule FILE[:LINE]  decided by this rule; `default`: by none\n"
	 "  --since TIME        14:05:30, 2026-01-31, 2026-01-31T14:05:30Z, +2.5s after the\n"
	 "  --until TIME        start of the run, or -10m before now\n"
	 "\n"
	 "  --group BY          count by path, dir, exe, op or rule\n"
	 "  -f, --follow        go on as the file grows, until the run ends\n"
	 "  --json              the lines as they are\n"
	 "  --html OUT          write a page that needs nothing else, to be opened from disk\n"
	 "\n"
	 "Exits 0, 1 if nothing matches, 2 after an error, 3 if the record is damaged or cut\n"
	 "off: it is read as far as it goes then.\n"},
	{"ask",
	 "usage: sluice ask\n"
	 "\n"
	 "Shows what you run under sluice, what it asks, and what was decided. The keys are\n"
	 "those of the prompt; arrows choose a question, q leaves.\n"},
	{"ps",
	 "usage: sluice ps [--json]\n"
	 "\n"
	 "Lists what you run under sluice: pid, start, open questions, refusals, command.\n"
	 "\n"
	 "  --json              the status of each run as JSON\n"},
	{"rule",
	 "usage: sluice rule list [--json] [RUN]\n"
	 "       sluice rule add [RUN] RULE...\n"
	 "       sluice rule remove [RUN] ID\n"
	 "\n"
	 "Lists the rules of a run, adds one, or removes one that was added or answered.\n"
	 "RUN is a pid, a --name, or the beginning of an id; it can be left out if there is\n"
	 "one run. RULE is a line as in a policy: sluice rule add deny read ~/.netrc\n"
	 "\n"
	 "An added rule ranks above all others. It holds for what sluice decides from now on;\n"
	 "what the kernel has granted is said, and what can't be done is refused.\n"
	 "\n"
	 "Exits 0, or 2 after an error.\n"},
	{"doctor",
	 "usage: sluice doctor [--json]\n"
	 "\n"
	 "Says what this kernel can do, found by trying, and what sluice does without it.\n"
	 "\n"
	 "  --json              the same as one JSON object\n"
	 "\n"
	 "Exits 0 if sluice run works here, 1 if it can't, 2 after an error.\n"},
};

bool help_print(FILE *f, const char *command)
{
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (command ? !texts[i].command || strcmp(command, texts[i].command) != 0
			    : texts[i].command != NULL)
			continue;
		fputs(texts[i].text, f);
		return true;
	}
	return false;
}
