/* covey: the one program; a subcommand a file. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/text.h"
#include "jobs/commands.h"

typedef struct {
    const char *name;
    int (*run)(int argc, char **argv, cv_err *err);
    const char *summary;
    const char *usage;
} command;

static const command commands[] = {
    {"init", cv_cmd_init, "write a commented job.yaml and silo.yaml",
     "covey init\n\n"
     "Writes job.yaml (the consortium's public document) and silo.yaml (what "
     "a\n"
     "site keeps to itself) into this folder. Existing files are left "
     "alone.\n"},
    {"check", cv_cmd_check, "validate a job and print what it will take",
     "covey check job.yaml [--silo FILE | --silo-dir DIR]\n\n"
     "Checks every key and value, and prints the plan: silos, parameters, "
     "bytes\n"
     "per round, memory; of a fit (glm, cox, ridge, kernel_ridge, pca) formula "
     "and\n"
     "limits of disclosure. With --silo or --silo-dir the sites' data are "
     "checked\n"
     "too, and a fit's columns are shown.\n"},
#ifdef COVEY_WITH_MPI
    {"run", cv_cmd_run, "train or fit (under mpirun, srun, or alone)",
     "mpirun -n RANKS covey run job.yaml [options]\n\n"
     "  --out DIR        run folder (default RUN): run.h5, round-NNNNNN.h5,\n"
     "                   covey.log\n"
     "  --silo-dir DIR   folder with one silo.yaml per silo\n"
     "  --silo FILE      this rank's silo.yaml (one mpirun part per site)\n"
     "  --resume         continue from the newest whole checkpoint, if any\n"
     "  --progress MODE  auto, live (one line redrawn) or log (a line a "
     "round)\n"
     "  -q, -v           quieter, more talkative (-vv: every round in "
     "detail)\n\n"
     "Any number of ranks works: with fewer than silos a rank hosts several,\n"
     "with more the extra ranks share a silo's batches. SIGUSR1 or SIGTERM:\n"
     "checkpoint at the end of the round, exit 75.\n"},
#endif
    {"inspect", cv_cmd_inspect, "show what was trained and how it went",
     "covey inspect RUN/run.h5 [--json]\n\n"
     "A checkpoint or a run folder. --json: everything, for programs.\n"
     "Of a fitted model the coefficients, their errors and tests, as R prints "
     "them.\n"},
    {"verify", cv_cmd_verify, "check what a run claims, without its data",
     "covey verify RUN/run.h5 [--rpc URL]... [--rpc-file FILE] [--json]\n\n"
     "Says line by line what holds, what does not, what is attested only, and\n"
     "what could not be checked: job, records and their links, signatures, "
     "model,\n"
     "preprocessing, ledger, rosters, sums; with `chain` in the job also\n"
     "attestations and rewards, and with --rpc what the contracts say.\n\n"
     "  --rpc URL        a node of the job's network; several are tried in "
     "turn\n"
     "  --rpc-file FILE  the same, a URL a line: a command line can be read "
     "by\n"
     "                   others, and URLs may hold access tokens\n"
     "  --json           for programs\n\n"
     "Exit code 0 if nothing fails, 6 if anything does, 3 if a node that was\n"
     "asked did not answer.\n"},
    {"chain", cv_cmd_chain, "the contracts of a federation",
     "covey chain deploy --network NAME --key FILE [options]\n"
     "       covey chain register RUN --key FILE [options]\n"
     "       covey chain status RUN|job.yaml [options]\n\n"
     "  deploy     make a federation, owned by the key (or --owner ADDRESS);\n"
     "             --window S: seconds to object to rewards (a day),\n"
     "             --claim-period S: seconds to claim them (90 days),\n"
     "             --test-token AMOUNT: also a token, on a local network\n"
     "  register   take in the silos of a run, whose identities have signed "
     "for\n"
     "             their attestation keys; the owner's key\n"
     "  status     owner, silos, and what the contract has of a run\n\n"
     "  --key FILE            key file that pays for transactions\n"
     "  --password-file FILE  one line with its pass phrase; else the terminal "
     "is\n"
     "                        asked\n"
     "  --rpc URL, --rpc-file FILE   nodes, as for verify\n"
     "  --json                for programs (deploy)\n\n"
     "Each verb looks at the chain first and may be repeated.\n"},
    {"rewards", cv_cmd_rewards, "what each silo is paid; claims it",
     "covey rewards RUN [--silo NAME] [--rpc URL] [--json]\n"
     "       covey rewards RUN --claim [--silo NAME] --key FILE [options]\n"
     "       covey rewards RUN --fund | --refund --key FILE [options]\n"
     "       covey rewards RUN --object silo.yaml --key FILE [options]\n\n"
     "Shows the amounts that a quorum of the silos has signed; --json also "
     "the\n"
     "Merkle proofs; with --rpc what was claimed.\n\n"
     "  --claim    pay out, to the payees, whoever's key pays for it\n"
     "  --fund     the sponsor puts in what its pool lacks (the run must be "
     "on\n"
     "             the chain: settle first, fund, settle again)\n"
     "  --refund   the sponsor takes back what is left, after the deadline\n"
     "  --object   a silo objects: nothing is paid until the silos sign again\n"
     "  --key, --password-file, --rpc, --rpc-file   as for chain\n"},
    {"predict", cv_cmd_predict, "apply a saved model to data",
     "covey predict RUN/run.h5 DATA [-o out.csv]\n\n"
     "DATA is HDF5, CSV or IDX with the model's features by name. Writes one\n"
     "line per row; where DATA holds the target too, prints the metrics.\n"
     "Of a glm that is the mean and eta, of cox lp and risk, of pca scores.\n"},
    {"convert", cv_cmd_convert, "turn CSV or IDX files into HDF5",
     "covey convert IN OUT.h5 [--target COLUMN] [--category COLUMN]...\n\n"
     "  --target COLUMN    column that becomes /y (else it stays in /x, where\n"
     "                     data.target finds it just as well)\n"
     "  --category COLUMN  column of words, stored as level numbers\n\n"
     "For IDX images the labels file beside them is found by its name.\n"},
    {"keys", cv_cmd_keys, "make and show a silo's identity key",
     "covey keys new [--out FILE] [--password-file FILE]\n"
     "       covey keys show FILE [--password-file FILE]\n"
     "       covey keys list [DIR]\n\n"
     "  new    make a key and write it, encrypted, to FILE (default\n"
     "         silo.key.json); an existing file is left alone\n"
     "  show   address and public key; with --password-file the file is "
     "opened,\n"
     "         which proves that it holds the secret of both\n"
     "  list   the key files of a folder\n\n"
     "  --password-file FILE   one line with the pass phrase; without it the\n"
     "                         terminal is asked\n"
     "  --json                 for programs\n\n"
     "Files are Ethereum key files (keystore version 3): they open in geth "
     "and\n"
     "wallets, and theirs here.\n"},
    {"settle", cv_cmd_settle, "bring a run's proofs and rewards to the chain",
     "covey settle RUN --key KEYSTORE [options]\n\n"
     "  --key KEYSTORE         whose account pays; not needed where nothing "
     "is\n"
     "                         left to send\n"
     "  --password-file FILE   one line with the pass phrase; without it the\n"
     "                         terminal is asked\n"
     "  --rpc URL              a node; several are tried in turn (default: "
     "the\n"
     "                         network's own, if it has one)\n"
     "  --rpc-file FILE        nodes, one a line: a URL that holds a token is\n"
     "                         seen by others on a command line\n"
     "  --finality WORD        mined (default), safe or final: when it counts "
     "as\n"
     "                         done\n"
     "  --watch                go on while nodes do not answer and the run "
     "goes\n"
     "                         on; until all is final if --finality says "
     "nothing\n"
     "  --batch N              rounds a transaction (default 50, at most "
     "1024)\n"
     "  --replace-after S      seconds before a transaction that waits is "
     "outbid\n"
     "  --json                 for programs;  --quiet: no progress\n\n"
     "Any account may pay: what is sent was signed by the silos. It may be "
     "stopped\n"
     "or killed at any time and run again, here or elsewhere; every round ends "
     "on\n"
     "the chain once. SIGINT or SIGTERM: exit 75.\n"},
    {"privacy", cv_cmd_privacy,
     "what noisy steps cost, or the noise for a budget",
     "covey privacy --noise N --delta D [options]\n"
     "       covey privacy --epsilon E --delta D [options]\n\n"
     "  --noise N      noise multiplier: standard deviation / sensitivity;\n"
     "                 prints the epsilon that is spent\n"
     "  --epsilon E    a budget; prints the least noise multiplier that keeps\n"
     "                 it (by PLD)\n"
     "  --delta D      between 0 and 1; well below 1 / number of records\n"
     "  --sampling Q   chance of each record (or silo) to be in a step "
     "(default 1)\n"
     "  --steps T      how many steps (default 1)\n"
     "  --json         for programs\n\n"
     "Poisson-subsampled Gaussian mechanism; adjacency: a record (or silo) is\n"
     "replaced by null. Both methods are upper bounds: RDP (Renyi), and PLD\n"
     "(privacy loss distribution), which is the tighter one.\n"},
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(FILE *out)
{
    fputs("covey: federated training over MPI ranks that may not pool their "
          "data\n\nusage: covey COMMAND [arguments]\n\n",
          out);
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`covey help COMMAND` says more. Exit codes: 0 ok, 1 other, 2 "
          "input,\n3 environment, 4 privacy refused, 5 too few silos, 6 "
          "verification failed,\n70 bug, 75 stopped on request (run again with "
          "--resume).\n",
          out);
}

static const command *find(const char *name, cv_err *err)
{
    const char *names[N_COMMANDS];
    for (int i = 0; i < N_COMMANDS; i++) {
        names[i] = commands[i].name;
        if (strcmp(name, names[i]) == 0)
            return &commands[i];
    }
#ifndef COVEY_WITH_MPI
    if (strcmp(name, "run") == 0) {
        cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                   "this covey was built without MPI (COVEY_MPI=OFF); "
                   "build it with MPI to run jobs");
        return NULL;
    }
#endif
    const char *near = cv_closest(name, names, N_COMMANDS);
    cv_err_set(err, CV_ERR_INPUT, NULL, 0,
               "unknown command '%s'%s%s%s; see `covey --help`", name,
               near ? "; did you mean '" : "", near ? near : "",
               near ? "'?" : "");
    return NULL;
}

static int dispatch(int argc, char **argv, cv_err *err)
{
    if (argc < 2) {
        print_help(stderr);
        return CV_ERR_INPUT;
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        printf("covey %s\n", COVEY_VERSION);
        return 0;
    }
    int help = strcmp(name, "help") == 0;
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
        (help && argc < 3)) {
        print_help(stdout);
        return 0;
    }
    const command *cmd = find(help ? argv[2] : name, err);
    if (!cmd)
        return err->code;
    if (help || (argc > 2 && strcmp(argv[2], "--help") == 0)) {
        printf("%s: %s\n\nusage: %s", cmd->name, cmd->summary, cmd->usage);
        return 0;
    }
    return cmd->run(argc - 1, argv + 1, err);
}

int main(int argc, char **argv)
{
    cv_err err = {0};
    opterr = 0; /* one message per failure, and it is ours */
    int rc = dispatch(argc, argv, &err);
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        rc = cv_err_set(&err, CV_ERR_ENV, NULL, 0,
                        "cannot write to standard output: %s", strerror(errno));
    if (rc < 0 && err.text[0]) {
        char text[1100];
        cv_err_format(&err, text, sizeof text);
        fprintf(stderr, "%s\n", text);
    }
    return cv_exit_code(rc);
}
