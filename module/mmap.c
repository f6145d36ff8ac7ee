// SPDX-License-Identifier: GPL-2.0
/*
 * Mapped files. A mapping's vm_file is a file of the lower inode, so that its
 * pages are the lower's. Mappings that cannot write to the file (private ones,
 * and shared ones of a file open for reading only, which the kernel makes
 * private ones) take the lower file of the open file, and nothing else happens.
 *
 * A mapping that writes, or may be made to by mprotect, gets a lower file of
 * its own, whose methods are a copy of the lower's with three replaced:
 *   fsync      msync(2) comes here: DIRTY durable and SYNC, as in fsync(2)
 *   fallocate  madvise(MADV_REMOVE) comes here: logs the range
 *   release    the last mapping is gone: one writer less
 * and vm_operations that are a copy of the lower's with page_mkwrite and
 * pfn_mkwrite replaced. The copies are made once per table of the lower and
 * live as long as the module; references to the vm_file, which mremap, fork
 * and splits of a mapping take and drop, count the mappings.
 *
 * The upper inode is that of the path of the vm_file, which the file pins.
 *
 * page_mkwrite runs before the first store to a page since it was last written
 * back, under mmap_lock. The page is dirty before im_dirty_end() adds its
 * range, and locked until its mapping is writable: a SYNC that takes the range
 * finds the page dirty, waits for the lock and write-protects it.
 */
#include "intermezzo.h"
#include "data.h"

#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/slab.h>

struct im_vm_fops {
	struct list_head list;		/* im_vm_fops_list */
	const struct file_operations *lower;
	struct file_operations ops;
};

struct im_vm_ops {
	struct list_head list;		/* im_vm_ops_list */
	const struct vm_operations_struct *lower;
	struct vm_operations_struct ops;
};

static DEFINE_MUTEX(im_vm_lock);	/* the lists; entries stay */
static LIST_HEAD(im_vm_fops_list);
static LIST_HEAD(im_vm_ops_list);

static struct inode *im_vm_inode(const struct file *vm_file)
{
	return d_inode(im_compat_user_dentry(vm_file));
}

/* The file of a mapping -------------------------------------------------- */

static const struct file_operations *im_vm_lower_fops(struct file *vm_file)
{
	return container_of(vm_file->f_op, struct im_vm_fops, ops)->lower;
}

static int im_vm_fsync(struct file *vm_file, loff_t start, loff_t end,
		       int datasync)
{
	const struct file_operations *lower = im_vm_lower_fops(vm_file);
	int err = im_dirty_fsync(im_vm_inode(vm_file));

	return err ? err : lower->fsync(vm_file, start, end, datasync);
}

/*
 * The VFS has taken write access to the lower, so the upper i_rwsem may not be
 * taken any more; what is punched changes neither size nor attributes that it
 * protects.
 */
static long im_vm_fallocate(struct file *vm_file, int mode, loff_t off,
			    loff_t len)
{
	const struct file_operations *lower = im_vm_lower_fops(vm_file);
	struct inode *inode = im_vm_inode(vm_file);
	long ret;

	if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) ||
	    !lower->fallocate)
		return -EOPNOTSUPP;
	ret = im_dirty_begin(inode);
	if (ret)
		return ret;
	ret = lower->fallocate(vm_file, mode, off, len);
	im_dirty_end(inode, off, off + len);
	return ret;
}

static int im_vm_release(struct inode *linode, struct file *vm_file)
{
	const struct file_operations *lower = im_vm_lower_fops(vm_file);

	im_dirty_put(im_vm_inode(vm_file), true);
	return lower->release ? lower->release(linode, vm_file) : 0;
}

static const struct file_operations *
im_vm_fops_of(const struct file_operations *lower)
{
	struct im_vm_fops *v;

	mutex_lock(&im_vm_lock);
	list_for_each_entry(v, &im_vm_fops_list, list)
		if (v->lower == lower)
			goto found;
	v = kzalloc(sizeof(*v), GFP_KERNEL);
	if (!v)
		goto unlock;
	v->lower = lower;
	v->ops = *lower;	/* with the owner, of which the file has a
				 * reference */
	v->ops.fsync = im_vm_fsync;
	v->ops.fallocate = im_vm_fallocate;
	v->ops.release = im_vm_release;
	list_add(&v->list, &im_vm_fops_list);
found:
unlock:
	mutex_unlock(&im_vm_lock);
	return v ? &v->ops : NULL;
}

/* Its faults ------------------------------------------------------------- */

/*
 * The lower's page_mkwrite may leave it to the fault handler to lock the page
 * and to mark it dirty; here it has to be before the range is added.
 */
static vm_fault_t im_vm_dirty_page(struct vm_fault *vmf, vm_fault_t ret)
{
	struct folio *folio = page_folio(vmf->page);

	if (ret & (VM_FAULT_ERROR | VM_FAULT_NOPAGE))
		return ret;
	if (!(ret & VM_FAULT_LOCKED)) {
		folio_lock(folio);
		if (!folio->mapping) {
			folio_unlock(folio);
			return VM_FAULT_NOPAGE;	/* cut off; fault again */
		}
		ret |= VM_FAULT_LOCKED;
	}
	/* Locked: nobody cleans it. */
	if (!folio_test_dirty(folio))
		folio_mark_dirty(folio);
	return ret;
}

/*
 * A fault on a page that is not mapped yet may make all of its folio writable,
 * if that lies within the mapping and under one page table: then no other
 * fault tells of stores to its other pages. (7.2 does, older ones do not.)
 */
static bool im_vm_whole_folio(const struct vm_fault *vmf)
{
	const struct vm_area_struct *vma = vmf->vma;
	struct folio *folio = page_folio(vmf->page);
	unsigned long idx = folio_page_idx(folio, vmf->page);
	unsigned long pages = folio_nr_pages(folio);
	unsigned long start = vmf->address & PAGE_MASK;

	if (pages == 1)
		return false;
	if (vmf->pte)
		return false;		/* mapped, but not writable */
	if (start < vma->vm_start + idx * PAGE_SIZE)
		return false;
	start -= idx * PAGE_SIZE;
	return pages * PAGE_SIZE <= vma->vm_end - start &&
	       (start & PMD_MASK) ==
	       ((start + pages * PAGE_SIZE - 1) & PMD_MASK);
}

static vm_fault_t im_vm_mkwrite(struct vm_fault *vmf,
				vm_fault_t (*mkwrite)(struct vm_fault *vmf),
				bool page)
{
	struct inode *inode = im_vm_inode(vmf->vma->vm_file);
	struct super_block *lsb = im_lower_inode(inode)->i_sb;
	u64 off = (u64)vmf->pgoff << PAGE_SHIFT, end = off + PAGE_SIZE;
	vm_fault_t ret;
	int err;

	sb_start_pagefault(inode->i_sb);

	/* The lower's own method takes this again: not one within the other. */
	sb_start_pagefault(lsb);
	err = im_dirty_begin(inode);
	/* The lower's fsync may write the page without a commit. */
	if (!err) {
		err = im_dirty_durable(inode);
		if (err)
			im_dirty_end(inode, 0, 0);
	}
	sb_end_pagefault(lsb);
	if (err) {
		ret = vmf_error(err);
		goto out;
	}

	do
		ret = mkwrite ? mkwrite(vmf) : 0;
	while ((ret & VM_FAULT_SIGBUS) &&	/* ENOSPC among others */
	       im_journal_squeeze(IM_FS(inode->i_sb)));
	if (page)
		ret = im_vm_dirty_page(vmf, ret);
	if ((ret & VM_FAULT_LOCKED) && im_vm_whole_folio(vmf)) {
		off = folio_pos(page_folio(vmf->page));
		end = off + folio_size(page_folio(vmf->page));
	}
	im_dirty_end(inode, off, end);
out:
	sb_end_pagefault(inode->i_sb);
	return ret;
}

static const struct vm_operations_struct *im_vm_lower_ops(struct vm_fault *vmf)
{
	return container_of(vmf->vma->vm_ops, struct im_vm_ops, ops)->lower;
}

static vm_fault_t im_vm_page_mkwrite(struct vm_fault *vmf)
{
	return im_vm_mkwrite(vmf, im_vm_lower_ops(vmf)->page_mkwrite, true);
}

static vm_fault_t im_vm_pfn_mkwrite(struct vm_fault *vmf)
{
	return im_vm_mkwrite(vmf, im_vm_lower_ops(vmf)->pfn_mkwrite, false);
}

static const struct vm_operations_struct *
im_vm_ops_of(const struct vm_operations_struct *lower)
{
	struct im_vm_ops *v;

	mutex_lock(&im_vm_lock);
	list_for_each_entry(v, &im_vm_ops_list, list)
		if (v->lower == lower)
			goto found;
	v = kzalloc(sizeof(*v), GFP_KERNEL);
	if (!v)
		goto unlock;
	v->lower = lower;
	v->ops = *lower;
	v->ops.page_mkwrite = im_vm_page_mkwrite;
	if (lower->pfn_mkwrite)
		v->ops.pfn_mkwrite = im_vm_pfn_mkwrite;
	list_add(&v->list, &im_vm_ops_list);
found:
unlock:
	mutex_unlock(&im_vm_lock);
	return v ? &v->ops : NULL;
}

/* No mapping is left, each has pinned its mount. */
void im_mmap_exit(void)
{
	struct im_vm_fops *f, *fn;
	struct im_vm_ops *o, *on;

	list_for_each_entry_safe(f, fn, &im_vm_fops_list, list)
		kfree(f);
	list_for_each_entry_safe(o, on, &im_vm_ops_list, list)
		kfree(o);
}

/* Mapping ---------------------------------------------------------------- */

static int im_mmap_lower(struct file *lower, struct vm_area_struct *vma)
{
	return im_compat_can_mmap(lower) ? im_compat_mmap(lower, vma) : -ENODEV;
}

static int im_mmap_writable(struct file *file, struct vm_area_struct *vma)
{
	struct inode *inode = file_inode(file);
	const struct vm_operations_struct *ops;
	const struct file_operations *fops;
	struct file *lower;
	int err;

	err = im_dirty_allowed(IM_FS(inode->i_sb));
	if (err)
		return err;
	/* Stores go to the device without a call of page_mkwrite first. */
	if (IS_DAX(im_lower_inode(inode))) {
		pr_warn_ratelimited("intermezzo (%s): the lower filesystem uses dax, by which stores to shared mappings cannot be logged: refused; mount it with dax=never\n",
				    IM_FS(inode->i_sb)->name);
		return -ENODEV;
	}
	lower = im_lower_open(file, file->f_flags & ~O_DIRECT);
	if (IS_ERR(lower))
		return PTR_ERR(lower);
	fops = im_vm_fops_of(lower->f_op);
	if (!fops) {
		err = -ENOMEM;
		goto out;
	}
	/* From here on the file's end is the writer's end. */
	im_dirty_get(inode, true);
	lower->f_op = fops;
	err = im_mmap_lower(lower, vma);
	if (err)
		goto out;
	ops = im_vm_ops_of(vma->vm_ops);
	if (!ops) {
		err = -ENOMEM;
		goto out;
	}
	vma->vm_ops = ops;
out:
	fput(lower);	/* vm_file has its own reference */
	return err;
}

int im_mmap(struct file *file, struct vm_area_struct *vma)
{
	unsigned long writable = VM_SHARED | VM_MAYWRITE;
	int err;

	if ((vma->vm_flags & writable) == writable)
		err = im_mmap_writable(file, vma);
	else
		err = im_mmap_lower(im_lower_file(file), vma);
	if (!err)
		im_accessed(file);
	return err;
}
