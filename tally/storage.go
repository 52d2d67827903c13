package tally

import "github.com/mogilefs/caddy-mogilefs/mogile"

// Storage is what storage nodes count, by device.
type Storage struct {
	Devices Table[mogile.DevID, Device]
}

// Device is what is counted of a device.
type Device struct {
	// Requests is how many requests came over HTTP, by method, and Failures how many of them were
	// answered with a failure, by status.
	Requests Table[string, Counter]
	Failures Table[int, Counter]
	// Opened is how many files the edge of the same process has read, without HTTP.
	Opened Counter
	// Sent is the bytes of files that were sent over HTTP, Written those of files that were stored, by
	// whichever way.
	Sent, Written Counter
	// Stored is how many files were stored, Removed how many were removed.
	Stored, Removed Counter
	// Errors is how often the file system failed to open, write, sync or remove a file, but for want of
	// space.
	Errors Counter
	// Syncs is how long it took to make a written file durable and to give it its name.
	Syncs Histogram
}
