// Package crash kills a real process while clients upload, overwrite and delete,
// starts it again on the same data, and compares what is there with what was
// promised.
//
// A ledger knows for each key which contents it may have: exactly the last one that
// was acknowledged, or, when a change got no answer, the one before it or the one
// after it. A round lets all changes loose at once, kills the process after some of
// them were acknowledged, restarts it, and reads every key. What is missing, mixed,
// half, or visible without a reason fails the test. Then replication has to bring
// every file to both devices by itself.
//
// A second test is about uploads that are answered when they are on two devices of different
// hosts. It kills an edge with a tracker in its process, and one that asks that tracker over the
// wire, by turns and while the nodes live on, and looks at disks and database before anything
// is started again: a file has both copies, recorded and whole, and every other copy
// on a disk belongs to an upload that the tracker knows of. Then an hour passes, in the
// database only, and of those uploads nothing may be left.
//
// It does not simulate power cuts: what the kernel holds survives a killed process.
// The tests of storage/disk do that.
package crash
