/* SPDX-License-Identifier: Apache-2.0
 * What is never learned: a command that did it once may have been the one to be stopped.
 */
#include "core/learn/learn.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *rule, *reason;
} dangers[] = {
	{"deny w ~/.bashrc ~/.bash_profile ~/.bash_login ~/.bash_logout ~/.bash_aliases ~/.profile ~/.zshrc ~/.zshenv "
	 "~/.zprofile ~/.zlogin ~/.zlogout ~/.kshrc ~/.mkshrc ~/.cshrc ~/.tcshrc ~/.login ~/.config/fish "
	 "~/.config/nushell ~/.inputrc",
	 "shells run it when they start"},
	{"deny w ~/.config/autostart ~/.config/systemd ~/.local/share/systemd ~/.local/share/dbus-1 "
	 "~/.local/share/applications ~/.config/environment.d ~/.pam_environment ~/.xprofile ~/.xsession ~/.xsessionrc "
	 "~/.xinitrc ~/.Xresources ~/.config/plasma-workspace ~/.config/i3 ~/.config/sway ~/.config/hypr",
	 "the session runs it at login"},
	{"deny w /var/spool/cron /var/spool/at /etc/crontab /etc/cron.d /etc/cron.hourly /etc/cron.daily "
	 "/etc/cron.weekly /etc/cron.monthly /etc/anacrontab",
	 "cron runs it"},
	{"deny w ~/.config/sluice", "policies of sluice"},
	{"deny all ~/.ssh /etc/ssh", "keys and settings of ssh"},
	{"deny w **/.git/hooks **/.git/config **/.git/config.worktree **/.git/commondir **/.git/modules/**/hooks "
	 "**/.git/modules/**/config **/.git/modules/**/config.worktree **/.git/modules/**/commondir",
	 "git runs what it names"},
	{"deny w **/.git/worktrees/*", "git of that worktree runs what is named there"},
	{"allow w **/.git/worktrees/*/*", NULL},
	{"deny w **/.git/worktrees/*/hooks **/.git/worktrees/*/config **/.git/worktrees/*/config.worktree "
	 "**/.git/worktrees/*/commondir **/.git/worktrees/*/modules",
	 "git of that worktree runs what it names"},
	{"deny w ~/.gitconfig ~/.config/git ~/.hgrc ~/.config/hg", "version control runs what it names"},
	{"deny w ~/.vimrc ~/.vim ~/.config/nvim ~/.emacs ~/.emacs.d ~/.config/emacs ~/.nanorc ~/.gdbinit ~/.config/gdb "
	 "~/.lldbinit ~/.tmux.conf ~/.config/tmux ~/.screenrc ~/.config/Code ~/.config/VSCodium",
	 "editors and debuggers run it"},
	{"deny w ~/.local/bin ~/bin ~/.cargo/bin ~/go/bin ~/.npm-global ~/.pyenv/shims ~/.volta ~/.nvm",
	 "later commands are taken from there"},
	{"deny connect /run/docker.sock /run/podman /run/containerd /run/crio /run/libvirt /run/snapd.socket "
	 "/run/lxd /var/lib/lxd/unix.socket /run/dbus /run/systemd/private",
	 "whoever reaches this service has more rights"},
	{"deny w /usr /bin /sbin /lib /lib32 /lib64 /libx32 /boot /opt /etc", "the system itself"},
	{"deny w /sys /proc/sys /proc/sysrq-trigger /proc/acpi /proc/scsi", "settings of the kernel"},
	{"deny read,write /dev/mem /dev/kmem /dev/port /dev/kmsg /dev/disk /dev/mapper /dev/sd* /dev/hd* /dev/vd* "
	 "/dev/nvme* /dev/xvd* /dev/mmcblk* /dev/dm-* /dev/uinput /dev/input /dev/kvm /dev/vhost*",
	 "a device with power over the machine"},
	{"deny read,write /proc/*/mem /proc/*/task/*/mem", "memory of other processes"},
};
enum { DANGERS = sizeof(dangers) / sizeof(dangers[0]) };

const char *learn_danger_text(void)
{
	static char text[8192];
	size_t n = 0;

	for (unsigned i = 0; i < DANGERS; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\n", dangers[i].rule);
	return text;
}

const char *learn_danger_reason(int line)
{
	return line > 0 && line <= DANGERS ? dangers[line - 1].reason : "dangerous";
}
