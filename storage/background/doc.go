// Package background reads files for work that nobody waits for, and takes neither the disk nor
// the system's memory from those who do.
//
// Who has a file to check calls [AtLowPriority], and reads what [Once] gives. Which file, and what
// it is checked for, is not known here, nor is a file that may hang.
package background
