/* SPDX-License-Identifier: Apache-2.0
 * What micro_stages and micro_start share: every stage of one kind becomes a benchmark.
 */
#pragma once
extern "C" {
#include "bench/stages.h"
}

#include <benchmark/benchmark.h>
#include <cstdio>
#include <cstring>

static inline int stages_main(int argc, char **argv, enum stage_kind kind)
{
	int r = stages_init();

	if (r < 0) {
		fprintf(stderr, "stages: %s\n", strerror(-r));
		stages_done();
		return 1;
	}
	for (size_t i = 0; i < n_stages; i++) {
		const struct stage *s = &stages[i];

		if (s->kind != kind)
			continue;
		benchmark::RegisterBenchmark(s->name, [s](benchmark::State &state) {
			for (auto _ : state)
				if (s->turn() < 0) {
					state.SkipWithError("it fails");
					break;
				}
		})->UseRealTime();
	}
	benchmark::Initialize(&argc, argv);
	benchmark::RunSpecifiedBenchmarks();
	stages_done();
	return 0;
}
