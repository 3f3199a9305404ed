/* SPDX-License-Identifier: Apache-2.0
 * Names in policies, as this process sees them when the run starts: what a literal path leads to,
 * and where the repository around a working directory keeps its data.
 */
#pragma once

/* The canonical form of PATH, absolute: the existing part resolved as realpath does, the rest kept
 * but for "." and "..". If the last component is a symlink, *RET_LINK is the link's own canonical
 * name, else NULL. *RET_LINKS (NULL: not wanted): the symlinks on the way, as policy_host has it. Malloc'ed. Nothing beneath /proc/self is resolved: it will be another's.
 * -ELOOP, -ENAMETOOLONG, -EINVAL (relative), -ENOMEM; a part that can't be searched counts as
 * missing. One thread only. */
int resolve_literal(const char *path, char **ret_path, char **ret_link, char **ret_links);

/* What was learned of directories may be wrong by now: before another policy is loaded. */
void resolve_literal_forget(void);

/* The directory of git's own data for a working directory PWD (canonical), malloc'ed, or NULL. A
 * .git file (worktree) counts only if the repository that it names points back at it: the file is
 * the project's, and would else turn `allow rw $GITDIR` into a grant of anything. */
char *find_gitdir(const char *pwd);

/* $HOME, from the password database if unset or relative; malloc'ed, or NULL. */
char *home_directory(void);
/* The same, by the name that it has when links are followed; as it is if it does not exist. */
char *home_canonical(void);
