// Package transfer moves the bytes of files between here and storage nodes, for the
// command line: trackers say where they are to go or lie.
//
// [Store.Put] opens an upload, puts the bytes to the first destination that takes them,
// and closes it; what fails, or is interrupted, is abandoned, so that nothing is left.
// [Store.Get] reads a file's copies, going on from another at the same offset when one
// fails: the content of a fid never changes.
//
// The edge does the same for browsers. It does not share this code: its bodies come from
// sockets and can't be had again, and its reads are of parts, remembered, and raced; a file
// here is simply opened once more.
package transfer
