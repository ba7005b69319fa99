/* SPDX-License-Identifier: MIT */
/* A plugin of QEMU's: counts the instructions that the guest executes, into a file that the parent reads.
 *
 * `orion qemu --count` compiles it. It declares what it uses of QEMU's plugin interface (docs/devel/tcg-plugins), since
 * Debian does not package the header. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int, void *);

/* The oldest version of the interface that has what is used here and that QEMU 10 still takes. */
int qemu_plugin_version = 2;

static volatile uint64_t *total;

/* A block of instructions is executed: `instructions` is how many it has. The machine has one processor. */
static void executed(unsigned processor, void *instructions)
{
    (void)processor;
    *total += (uintptr_t)instructions;
}

static void translated(plugin_id id, struct qemu_plugin_tb *block)
{
    (void)id;
    enum { NO_REGISTERS = 0 };
    void *instructions = (void *)(uintptr_t)qemu_plugin_tb_n_insns(block);
    qemu_plugin_register_vcpu_tb_exec_cb(block, executed, NO_REGISTERS, instructions);
}

/* The one argument is into=FILE, where FILE has eight bytes. */
int qemu_plugin_install(plugin_id id, const void *info, int count, char **arguments)
{
    (void)info;
    if (count != 1 || strncmp(arguments[0], "into=", 5) != 0)
        return -1;
    int file = open(arguments[0] + 5, O_RDWR);
    if (file < 0)
        return -1;
    void *mapped = mmap(NULL, sizeof *total, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped == MAP_FAILED)
        return -1;
    total = mapped;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
