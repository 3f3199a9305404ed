/* SPDX-License-Identifier: Apache-2.0
 * The index that policy_decide() reads: a tree of the literal components of all rules.
 *
 * Each node holds, for each operation, what the literal rules at it or above it come to, so a path is
 * judged by walking down as far as the tree knows it. Globs hang at the node of their literal prefix and
 * are tried on the way back. Immutable after matcher_build(); no allocation, no lock, any thread.
 */
#pragma once
#include "policy/private.h"
#include <string.h>

/* One operation at one node. Rules are numbered from 1; 0: none. */
struct node_op {
	uint16_t rule;	     /* counts among the literal rules of the nearest object that has some */
	uint16_t object_len; /* length of that object */
	uint16_t never;	     /* the nearest literal never at or above */
};

struct node {
	/* read on the way down */
	const char *name; /* last component */
	uint32_t name_len, parent;
	uint32_t first_child;
	uint32_t first_glob, n_globs;
	uint32_t globs_above; /* the nearest node above with globs, or 0 */
	/* read at the end of the way */
	struct node_op ops[OP_COUNT];
	/* read rarely */
	uint32_t next_sibling;
	uint32_t first_ref; /* list of the literal rules with this object */
	uint16_t path_len;
	uint16_t mkdir_rule; /* allows creating something beneath, so this directory may be made */
	opset strict_below;  /* operations that a literal rule beneath asks about or refuses */
};

struct node_ref {
	uint32_t next; /* index + 1 */
	uint16_t rule;
};

struct glob_ref {
	const struct pattern *pattern;
	uint32_t node;
	opset ops;
	uint16_t rule;
};

struct matcher {
	const struct rule *rules;
	struct node *nodes; /* [0] is "/" */
	uint32_t n_nodes;
	uint32_t *slots; /* open addressing: node index of a child, 0: free ("/" is nobody's child) */
	uint32_t slot_mask;
	bool exact; /* literal rules are for their own node */
	struct glob_ref *globs; /* sorted by node */
	uint32_t n_globs;
	struct node_ref *refs;
	uint32_t n_refs;
	struct verdict net[OP_COUNT];
};

static inline uint32_t matcher_hash(uint32_t parent, const char *name, size_t len)
{
	uint64_t h = (parent + 1) * 0x9e3779b97f4a7c15ULL, word;

	for (; len >= 8; name += 8, len -= 8) {
		memcpy(&word, name, 8);
		h = (h ^ word) * 0xff51afd7ed558ccdULL;
		h ^= h >> 32;
	}
	word = len;
	for (size_t i = 0; i < len; i++)
		word = word << 8 | (unsigned char)name[i];
	h = (h ^ word) * 0xff51afd7ed558ccdULL;
	return (uint32_t)(h >> 32);
}

/* The child NAME of node PARENT, or 0. */
static inline uint32_t matcher_child(const struct matcher *m, uint32_t parent, const char *name, size_t len)
{
	for (uint32_t slot = matcher_hash(parent, name, len);; slot++) {
		uint32_t child = m->slots[slot & m->slot_mask];
		const struct node *n = &m->nodes[child];

		if (child == 0 ||
		    (n->parent == parent && n->name_len == len && memcmp(n->name, name, len) == 0))
			return child;
	}
}

/* The node of exactly PATH, or NULL. */
const struct node *matcher_find(const struct matcher *m, const char *path, size_t len);
/* What RULE comes to when it decides. */
struct verdict matcher_verdict(const struct rule *rule);
/* policy_decide() that tells the object of the deciding rule (0: the default). */
struct verdict matcher_decide(const struct matcher *m, enum op op, const char *path, size_t len,
			      size_t *ret_object);
