/* SPDX-License-Identifier: Apache-2.0
 * Removing what a hostile command may have left, and what another one may be changing meanwhile: no link is followed
 * and no mount entered, modes and depths don't stop it. Nothing is reported: what can't be removed stays.
 */
#pragma once

/* The directory NAME in PARENT, to be read; its mode is changed where that is in the way. A descriptor or -errno. */
int remove_tree_open(int parent, const char *name);
/* Remove all that is in the directory DIRFD. *LEFT: at most so many names, counted down. */
void remove_tree_below(int dirfd, unsigned long *left);
