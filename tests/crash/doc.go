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
// It does not simulate power cuts: what the kernel holds survives a killed process.
// The tests of storage/disk do that.
package crash
