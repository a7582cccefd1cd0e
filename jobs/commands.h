/** The subcommands: each parses its own arguments and returns a cv_code, with
 *  err filled when it is negative.  main prints err once and exits. */
#ifndef COVEY_JOBS_COMMANDS_H
#define COVEY_JOBS_COMMANDS_H

#include <getopt.h>

#include "core/err.h"

int cv_cmd_init(int argc, char **argv, cv_err *err);
int cv_cmd_check(int argc, char **argv, cv_err *err);
int cv_cmd_run(int argc, char **argv, cv_err *err);
int cv_cmd_inspect(int argc, char **argv, cv_err *err);
int cv_cmd_predict(int argc, char **argv, cv_err *err);
int cv_cmd_convert(int argc, char **argv, cv_err *err);
int cv_cmd_keys(int argc, char **argv, cv_err *err);
int cv_cmd_chain(int argc, char **argv, cv_err *err);
int cv_cmd_rewards(int argc, char **argv, cv_err *err);
int cv_cmd_verify(int argc, char **argv, cv_err *err);
int cv_cmd_settle(int argc, char **argv, cv_err *err);
int cv_cmd_privacy(int argc, char **argv, cv_err *err);

/** What getopt_long did not like: c is what it returned, '?' or (with an option
 *  string that begins with ':') ':'. Names the option, and the closest of
 *  longs. Returns CV_ERR_INPUT. */
int cv_bad_option(const char *command, int c, char *const *argv,
                  const struct option *longs, cv_err *err);

/** A pass phrase on the command line is seen by others; an option that looks
 *  like one is refused without repeating it. CV_ERR_INPUT. */
int cv_refuse_spoken_passphrase(int argc, char *const *argv, cv_err *err);

#endif
