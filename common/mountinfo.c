// SPDX-License-Identifier: GPL-2.0
#include "mountinfo.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

/* The kernel writes space, tab, newline and backslash as \ and three digits. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++, to++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' &&
		    s[2] >= '0' && s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			*to = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 |
				     (s[3] - '0'));
			s += 3;
		} else {
			*to = *s;
		}
	}
	*to = '\0';
}

static char *word(char **line)
{
	return strsep(line, " ");
}

static bool has_option(const char *options, const char *name)
{
	size_t len = strlen(name);

	while (options && *options) {
		if (!strncmp(options, name, len) &&
		    (options[len] == ',' || !options[len]))
			return true;
		options = strchr(options, ',');
		if (options)
			options++;
	}
	return false;
}

/* The value of fileset=, a copy; NULL if there is none or memory is short. */
static char *fset_option(const char *options)
{
	static const char key[] = "fileset=";

	while (options) {
		if (!strncmp(options, key, sizeof(key) - 1)) {
			options += sizeof(key) - 1;
			return strndup(options, strcspn(options, ","));
		}
		options = strchr(options, ',');
		if (options)
			options++;
	}
	return NULL;
}

/* ID PARENT MAJOR:MINOR ROOT DIR OPTIONS [FIELD]... - TYPE SOURCE SUPEROPTIONS */
static int parse_line(char *line, struct im_mount *mount)
{
	unsigned int major_no, minor_no;
	char *id, *parent, *dev, *root, *dir, *options, *field;
	char *type, *source, *super;

	id = word(&line);
	parent = word(&line);
	dev = word(&line);
	root = word(&line);
	dir = word(&line);
	options = word(&line);
	do
		field = word(&line);
	while (field && strcmp(field, "-"));
	type = word(&line);
	source = word(&line);
	super = word(&line);
	if (!dev || !dir || !options || !field || !type || !source || !super ||
	    sscanf(dev, "%u:%u", &major_no, &minor_no) != 2 || dir[0] != '/')
		return -EINVAL;
	unescape(root);
	unescape(dir);
	unescape(source);
	memset(mount, 0, sizeof(*mount));
	mount->id = atoi(id);
	mount->parent = atoi(parent);
	mount->dev = makedev(major_no, minor_no);
	mount->read_only = has_option(options, "ro") || has_option(super, "ro");
	mount->dir = strdup(dir);
	mount->root = strdup(root);
	mount->type = strdup(type);
	mount->source = strdup(source);
	if (!strcmp(type, IM_FS_TYPE))
		mount->fset = fset_option(super);
	if (!mount->dir || !mount->root || !mount->type || !mount->source)
		return -ENOMEM;
	return 0;
}

bool im_path_within(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (len && dir[len - 1] == '/')
		len--;
	return !strncmp(path, dir, len) && (path[len] == '/' || !path[len]);
}

static const struct im_mount *by_id(const struct im_mounts *mounts, int id)
{
	size_t i;

	for (i = 0; i < mounts->n; i++)
		if (mounts->v[i].id == id)
			return &mounts->v[i];
	return NULL;
}

/*
 * The order of the lines says nothing (the root is often mounted late), so go
 * from the mount to its parents and look for a sibling in the way.
 */
static bool is_hidden(const struct im_mounts *mounts,
		      const struct im_mount *mount)
{
	const struct im_mount *on = mount;
	const struct im_mount *below = NULL;
	const struct im_mount *other;
	size_t depth;
	size_t i;

	for (depth = 0; on && depth < mounts->n; depth++) {
		const char *way = below ? below->dir : on->dir;

		for (i = 0; i < mounts->n; i++) {
			other = &mounts->v[i];
			if (other != on && other != below &&
			    other->parent == on->id &&
			    im_path_within(way, other->dir))
				return true;
		}
		if (on->parent == on->id)
			break;
		below = on;
		on = by_id(mounts, on->parent);
	}
	return false;
}

int im_mounts_parse(struct im_mounts *mounts, const char *text)
{
	char *copy = strdup(text);
	char *rest = copy;
	struct im_mount *grown;
	size_t room = 0;
	size_t i;
	char *line;
	int err = 0;

	memset(mounts, 0, sizeof(*mounts));
	if (!copy)
		return -ENOMEM;
	while (!err && (line = strsep(&rest, "\n"))) {
		if (!*line)
			continue;
		if (mounts->n == room) {
			room = room ? 2 * room : 32;
			grown = realloc(mounts->v, room * sizeof(*grown));
			if (!grown) {
				err = -ENOMEM;
				break;
			}
			mounts->v = grown;
		}
		err = parse_line(line, &mounts->v[mounts->n]);
		/* a half-filled entry is freed with the others */
		if (err != -EINVAL)
			mounts->n++;
	}
	free(copy);
	if (err) {
		im_mounts_free(mounts);
		return err;
	}
	for (i = 0; i < mounts->n; i++)
		mounts->v[i].hidden = is_hidden(mounts, &mounts->v[i]);
	return 0;
}

/*
 * In one go into a buffer that is large enough, since a list that is read in
 * pieces can miss or repeat lines when mounts change meanwhile.
 */
int im_mounts_read(struct im_mounts *mounts)
{
	size_t size = 64 << 10;
	char *text = NULL;
	char *grown;
	size_t len;
	FILE *file;
	int err;

	do {
		size *= 2;
		grown = realloc(text, size);
		if (!grown) {
			err = -ENOMEM;
			goto out_free;
		}
		text = grown;
		file = fopen("/proc/self/mountinfo", "re");
		if (!file) {
			err = -errno;
			goto out_free;
		}
		setvbuf(file, NULL, _IONBF, 0);
		len = fread(text, 1, size - 1, file);
		err = ferror(file) ? -EIO : 0;
		fclose(file);
		if (err)
			goto out_free;
	} while (len == size - 1);
	text[len] = '\0';
	err = im_mounts_parse(mounts, text);
out_free:
	free(text);
	return err;
}

void im_mounts_free(struct im_mounts *mounts)
{
	size_t i;

	for (i = 0; i < mounts->n; i++) {
		free(mounts->v[i].dir);
		free(mounts->v[i].root);
		free(mounts->v[i].type);
		free(mounts->v[i].source);
		free(mounts->v[i].fset);
	}
	free(mounts->v);
	memset(mounts, 0, sizeof(*mounts));
}

const struct im_mount *im_mounts_fset(const struct im_mounts *mounts,
				      const char *name)
{
	size_t i;

	for (i = mounts->n; i-- > 0;)
		if (mounts->v[i].fset && !mounts->v[i].hidden &&
		    !strcmp(mounts->v[i].fset, name))
			return &mounts->v[i];
	return NULL;
}

const struct im_mount *im_mounts_of(const struct im_mounts *mounts,
				    const char *path)
{
	const struct im_mount *best = NULL;
	size_t i;

	/* a later mount at the same place lies over the earlier one */
	for (i = 0; i < mounts->n; i++)
		if (!mounts->v[i].hidden &&
		    im_path_within(path, mounts->v[i].dir) &&
		    (!best || strlen(mounts->v[i].dir) >= strlen(best->dir)))
			best = &mounts->v[i];
	return best;
}
