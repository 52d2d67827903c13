// Package disk keeps files on a storage node's device directories so that what was
// reported stored survives a crash, and what was not reported is never seen.
//
// A [Root] is the directory that holds dev<N>; [Root.Device] gives one [Device].
// [Device.Create] opens a temporary beside the target, the caller writes to it, and
// [Writer.Commit] checks the length, syncs the file, renames it, and syncs the
// directory together with every parent that might not be on disk yet. [Writer.Abort],
// or a crash at any moment, leaves the target as it was; [Device.Sweep] removes
// temporaries a crash left.
//
// No descriptor of a device outlives a call or a Writer: the operator can unmount
// a disk while the node runs, and a disk mounted later is seen at once. A device
// that was a mount point before and is none now is refused with [ErrNotMounted].
// A symbolic link leads nowhere outside its device directory.
//
// A disk that fails or went read-only is noticed by whoever meets it; from then on writing
// is refused with [ErrUnwritable] until [Device.Look] has written a file. One that hangs
// takes a bounded number of callers along: the others wait for their turn, and get
// [ErrStalled] or [ErrBusy]. Both count time by [Device.Tick].
//
// On a device that is [Device.Remote], as one of a filer is, every call of the system may hang for ever:
// there all of them count among those that a device does at once, and who reads is let go when it is
// found to hang.
//
// It knows neither HTTP nor which names may be stored: the caller checks them.
package disk
