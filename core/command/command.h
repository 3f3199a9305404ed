/* SPDX-License-Identifier: Apache-2.0
 * The commands behind `sluice NAME`. Each gets argv with argv[0] the command's own name and returns
 * an exit code.
 */
#pragma once

int command_run(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_log(int argc, char **argv);
int command_ask(int argc, char **argv);
int command_ps(int argc, char **argv);
int command_rule(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_trace(int argc, char **argv);
int command_learn(int argc, char **argv);
