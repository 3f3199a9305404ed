# SPDX-License-Identifier: Apache-2.0
# A build step that reaches for what it should not. It keeps nothing and changes nothing: it opens
# files and says whether that worked. Exit status 1 if it was stopped everywhere.
stopped=1

# Your keys.
for key in ~/.ssh ~/.ssh/*; do
	if [ -d "$key" ]; then
		ls "$key" >/dev/null 2>&1
	else
		cat "$key" >/dev/null 2>&1
	fi && { echo "naughty: could read $key"; stopped=0; }
done

# Your shell's start file: open for appending, append nothing.
if (: >>~/.bashrc) 2>/dev/null; then
	echo "naughty: could write ~/.bashrc"
	stopped=0
fi

[ $stopped = 0 ] || { echo "naughty: stopped everywhere"; exit 1; }
