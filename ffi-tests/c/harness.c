/* The C contract tests' main: `harness --list`, `harness NAME`. */
#include "check.h"

static const test_t *const suites[] = {
    misuse_tests, record_tests, batch_tests, thread_tests,
    core_tests,   fork_tests,   signal_tests, fault_tests,
    descriptor_tests,
};

int main(int argc, char **argv)
{
    if (argc != 2)
        FAIL("usage: %s --list | NAME", argv[0]);
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
        for (const test_t *test = suites[i]; test->name; test++) {
            if (strcmp(argv[1], "--list") == 0) {
                puts(test->name);
            } else if (strcmp(argv[1], test->name) == 0) {
                test->run();
                return 0;
            }
        }
    }
    return strcmp(argv[1], "--list") == 0 ? 0 : 2;
}
