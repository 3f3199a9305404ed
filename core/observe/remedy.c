/* SPDX-License-Identifier: Apache-2.0
 * Suggestions. Precedence (POLICY.md section 3) decides what has an effect: an option's rule is
 * literal and of the highest rank, so it loses only to a nearer object, to another option at the same
 * one, and to `never`.
 */
#include "core/observe/remedy.h"
#include "core/resolve_literal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a refused operation needs in practice: a file that is created is written and read again. */
static const char *const useful_ops[OP_COUNT] = {
	[OP_READ] = "read", [OP_LIST] = "list", [OP_WRITE] = "write", [OP_CREATE] = "rw",
	[OP_DELETE] = "delete", [OP_EXEC] = "rx", [OP_META] = "meta", [OP_STAT] = "stat",
	[OP_CONNECT] = "connect", [OP_BIND] = "bind",
};

int places_init(struct places *p, const struct policy *policy)
{
	char *home = home_directory(), *pwd = getcwd(NULL, 0);

	*p = (struct places){.policy = policy, .home = home ? realpath(home, NULL) : NULL};
	free(home);
	if (p->home && strcmp(p->home, "/") == 0) {
		free(p->home);
		p->home = NULL;
	}
	if (pwd && pwd[0] == '/')
		p->pwd = pwd;
	else
		free(pwd);
	return 0;
}

void places_done(struct places *p)
{
	free(p->home);
	free(p->pwd);
	*p = (struct places){0};
}

/* Is PATH (LEN bytes) DIR or beneath it? */
static bool is_in(const char *path, size_t len, const char *dir, size_t dir_len)
{
	if (dir_len == 1 && dir[0] == '/')
		return true;
	return len >= dir_len && memcmp(path, dir, dir_len) == 0 && (len == dir_len || path[dir_len] == '/');
}

static bool in_home(const struct places *p, const char *path, size_t len)
{
	return p->home && is_in(path, len, p->home, strlen(p->home));
}

void places_show(const struct places *p, struct text *out, const char *path, size_t len)
{
	size_t skip = in_home(p, path, len) ? strlen(p->home) : 0;

	if (skip)
		text_puts(out, "~");
	text_escaped(out, path + skip, len - skip);
}

bool rule_keeps_secrets(const struct rule *rule)
{
	return rule && rule->rank == RANK_BUILTIN && strcmp(rule->file, "credentials") == 0;
}

/* Is there a place of credentials beneath DIR, or at it if SELF? */
static bool holds_credentials(const struct places *p, const char *dir, size_t len, bool self)
{
	size_t n;
	const struct rule *rules = p->policy ? policy_rules(p->policy, &n) : NULL;

	for (size_t i = 0; rules && i < n; i++) {
		for (unsigned j = 0; rule_keeps_secrets(&rules[i]) && j < rules[i].n_names; j++) {
			const struct pattern *name = &rules[i].names[j];
			const char *object = name->is_glob ? name->prefix : name->text;
			size_t object_len = strlen(object);

			if (is_in(object, object_len, dir, len) && (self || object_len > len))
				return true;
		}
	}
	return false;
}

bool remedy_may_name_dir(const struct places *p, const char *dir, size_t len)
{
	return remedy_may_name_object(p, dir, len) && !(p->pwd && is_in(p->pwd, strlen(p->pwd), dir, len)) &&
	       !holds_credentials(p, dir, len, true);
}

bool remedy_may_name_object(const struct places *p, const char *path, size_t len)
{
	size_t pwd_len = p->pwd ? strlen(p->pwd) : 0;

	return len > 1 && !(p->home && is_in(p->home, strlen(p->home), path, len)) &&
	       !(p->pwd && pwd_len > len && is_in(p->pwd, pwd_len, path, len)) &&
	       !holds_credentials(p, path, len, false);
}

bool remedy_has_effect(const struct rule *rule, const char *path, size_t path_len, size_t len)
{
	size_t object = 0;
	bool literal = false;

	if (!rule)
		return true;
	if (rule->action == ACTION_NEVER)
		return false;
	for (unsigned i = 0; i < rule->n_names; i++) {
		size_t l = pattern_object(&rule->names[i], path, path_len);

		if (l && (!object || l <= object)) {
			object = l;
			literal |= !rule->names[i].is_glob;
		}
	}
	if (object != len)
		return object < len;
	return rule->rank < RANK_OPTION || (rule->rank == RANK_OPTION && !literal);
}

/* Bytes that neither a shell nor the language of policies treats in a way of its own. */
static bool is_plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       strchr("/._-+,:@%=", c) != NULL;
}

/* What an option's target must escape: it is a pattern with variables in it. */
static bool is_special(unsigned char c)
{
	return c && strchr("*?[]\\$\"'~#", c) != NULL;
}

/* May WORD be shown as it is? Backslashes aside, which only quote here. */
static bool is_tame(const char *word, size_t len)
{
	struct text bare = {0}, shown = {0};
	bool tame;

	for (size_t i = 0; i < len; i++)
		if (word[i] != '\\')
			text_add(&bare, word + i, 1);
	text_escaped(&shown, bare.data ? bare.data : "", bare.len);
	tame = !bare.failed && !shown.failed && bare.len == shown.len && bare.len &&
	       memcmp(bare.data, shown.data, bare.len) == 0;
	text_done(&bare);
	text_done(&shown);
	return tame;
}

static void add_quoted(struct text *out, const char *word, size_t len)
{
	bool plain = true;

	for (size_t i = 0; i < len; i++)
		plain &= is_plain((unsigned char)word[i]) || word[i] == '~';
	if (plain) {
		text_add(out, word, len);
	} else if (!memchr(word, '\'', len) && is_tame(word, len)) {
		text_puts(out, "'");
		text_add(out, word, len);
		text_puts(out, "'");
	} else {
		text_puts(out, "$'");
		for (size_t i = 0; i < len; i++) {
			unsigned char c = (unsigned char)word[i];

			if (c >= 0x20 && c < 0x7f && c != '\'' && c != '\\')
				text_add(out, word + i, 1);
			else
				text_printf(out, "\\%03o", c);
		}
		text_puts(out, "'");
	}
}

void remedy_option(const struct places *p, struct text *out, enum op op, const char *path, size_t len)
{
	struct text word = {0};
	size_t skip = in_home(p, path, len) ? strlen(p->home) : 0;

	text_printf(&word, "%s:%s", useful_ops[op], skip ? "~" : "");
	for (size_t i = skip; i < len; i++) {
		unsigned char c = (unsigned char)path[i];

		if (c < 0x20 || c == 0x7f) {
			text_printf(&word, "\"\\%03o\"", c);
			continue;
		}
		if (is_special(c))
			text_puts(&word, "\\");
		text_add(&word, path + i, 1);
	}
	text_puts(out, "--allow ");
	if (!word.failed)
		add_quoted(out, word.data, word.len);
	text_done(&word);
}

void remedy_option_net(struct text *out, enum op op)
{
	text_printf(out, "--allow '%s:*:*'", useful_ops[op]);
}
