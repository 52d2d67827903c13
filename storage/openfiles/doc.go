// Package openfiles opens files of devices for reading, and keeps those open that are
// read over and over.
//
// A file is looked for in the set by its device and name. One that is there is looked at
// again before it is used; one that is not is opened, and stays for a moment when it was
// asked for before. What a file is for, and how it is sent, is not known here.
package openfiles
