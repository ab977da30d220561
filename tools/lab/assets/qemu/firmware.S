# Entry points of the bare-metal guest: 64 KiB of firmware at 0xf0000, copied nowhere, run from ROM.
# Real mode only until the jump to 32-bit protected mode; no paging.
.section .entry, "ax"
.code16
.globl boot16
boot16:
  cli
  movw $0xf000, %ax
  movw %ax, %ds
  lgdtl gdt_pointer - boot16
  movl %cr0, %eax
  orl $1, %eax
  movl %eax, %cr0
  ljmpl $8, $boot32

# Copied to 0x8000, where a start-up IPI with vector 8 begins.
.globl trampoline, trampoline_end
trampoline:
  cli
  movw $0xf000, %ax
  movw %ax, %ds
  lgdtl gdt_pointer - boot16
  movl %cr0, %eax
  orl $1, %eax
  movl %eax, %cr0
  ljmpl $8, $second32
trampoline_end:

.code32
boot32:
  movw $16, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  movl $0x90000, %esp
  call first_cpu
second32:
  movw $16, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  movl $1, %eax
  lock xaddl %eax, cpu_ticket
  incl %eax
  movl %eax, %ecx
  shll $14, %ecx
  movl $0x90000, %esp
  subl %ecx, %esp
  pushl %eax
  call other_cpu
  hlt

# Interrupts are only let in at the one "sti; hlt", where no flag matters: so these return with a plain ret
# that drops CS and flags and leaves interrupts off. An iret in protected mode is one of the instructions
# that KVM cannot emulate, and on some hosts it emulates all of this guest.
.globl timer_entry, wake_entry, ignore_entry
timer_entry:
  pushal
  cld
  call timer_tick
  popal
  ret $8
wake_entry:
  pushal
  cld
  call woken
  popal
  ret $8
ignore_entry:
  ret $8

.align 8
gdt:
  .quad 0
  .quad 0x00cf9b000000ffff
  .quad 0x00cf93000000ffff
gdt_pointer:
  .word gdt_pointer - gdt - 1
  .long gdt

.section .reset, "ax"
.code16
  ljmp $0xf000, $0
  .org 16

.section .note.GNU-stack, "", @progbits
