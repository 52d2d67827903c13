// Package checker checks files: fsck. What to find of what is seen, and what to do then, is
// decided by package fsck; this one looks, and acts.
//
// An operator says fsck_start, and package injector queues the files. The fsck job hands
// each row to [Checker.Check]. Most files are as they should be, and that is seen with one
// HEAD for each copy and nothing in the way of others. When something is wrong, the fid's
// lock is taken, everything looked at again, and the verdict carried out: bad copies are
// deleted where there is a good one, forgotten, and the file queued for replication, which
// makes new ones.
//
// What it does not do: make copies, which is replication's, hold rows of the queue, which is
// the job's, or know policies. The rules are those of docs/spec/jobs.md §7, and
// docs/jobs/fsck.md says where it differs.
package checker
