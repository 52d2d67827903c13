package protocol

// Code is the word that names a failure on the wire.
type Code string

// Error makes a code something that errors.Is can look for; what is returned is
// always an [*Error].
func (c Code) Error() string { return string(c) }

// Text is the fixed text of a code: the code itself when it has none.
func (c Code) Text() string {
	if text, ok := texts[c]; ok {
		return text
	}
	return string(c)
}

// The codes with a fixed text (docs/spec/tracker-protocol.md §4.1).
const (
	AfterMismatch      Code = "after_mismatch"
	BadParams          Code = "bad_params"
	ClassExists        Code = "class_exists"
	ClassHasFiles      Code = "class_has_files"
	ClassNotFound      Code = "class_not_found"
	DB                 Code = "db"
	DomainExists       Code = "domain_exists"
	DomainHasFiles     Code = "domain_has_files"
	DomainNotEmpty     Code = "domain_not_empty" // never sent: DomainHasClasses is
	DomainNotFound     Code = "domain_not_found"
	Dup                Code = "dup"
	Failure            Code = "failure"
	HostExists         Code = "host_exists"
	HostMismatch       Code = "host_mismatch"
	HostNotEmpty       Code = "host_not_empty"
	HostNotFound       Code = "host_not_found"
	InvalidMinDevCount Code = "invalid_mindevcount"
	KeyExists          Code = "key_exists"
	NoClass            Code = "no_class"
	NoDevice           Code = "no_device"
	NoDevices          Code = "no_devices"
	NoDomain           Code = "no_domain"
	NoHost             Code = "no_host"
	NoIP               Code = "no_ip"
	NoPort             Code = "no_port"
	NoRebalPolicy      Code = "no_rebal_policy"
	NoRebalState       Code = "no_rebal_state"
	NoTempFile         Code = "no_temp_file"
	NoDelDefaultClass  Code = "nodel_default_class"
	NoneMatch          Code = "none_match"
	PluginAborted      Code = "plugin_aborted"
	RebalNotStarted    Code = "rebal_not_started"
	StateTooHigh       Code = "state_too_high"
	UnknownCommand     Code = "unknown_command"
	UnknownHost        Code = "unknown_host"
	UnknownState       Code = "unknown_state"
	UnregDomain        Code = "unreg_domain"
)

// The codes whose text is the code (docs/spec/tracker-protocol.md §4.2).
const (
	BogusArgs             Code = "bogus_args"
	DomainHasClasses      Code = "domain_has_classes"
	ExistingDevID         Code = "existing_devid"
	FIDExists             Code = "fid_exists"
	FIDInUse              Code = "fid_in_use"
	InvalidChecksumFormat Code = "invalid_checksum_format"
	InvalidDevID          Code = "invalid_devid"
	InvalidCheckerLevel   Code = "invalid_checker_level" // never sent: no command has it any more
	InvalidHashType       Code = "invalid_hashtype"
	InvalidKey            Code = "invalid_key"
	InvalidState          Code = "invalid_state"
	NoDevID               Code = "no_devid"
	NoFID                 Code = "no_fid"
	NoKey                 Code = "no_key"
	NoPath                Code = "no_path"
	NotWritable           Code = "not_writable"
	UnknownFID            Code = "unknown_fid"
	UnknownHostID         Code = "unknown_hostid"
	UnknownKey            Code = "unknown_key"
	UnregClass            Code = "unreg_class"
)

// The code that the reference does not have.
const (
	// NotAllowed: the command is for operators, and the client is none.
	NotAllowed Code = "not_allowed"
)

// The codes whose text is made up for each answer (docs/spec/tracker-protocol.md §4.3).
const (
	BadArgs          Code = "bad_args"
	BadRebalPolicy   Code = "bad_rebal_pol"
	ChecksumMismatch Code = "checksum_mismatch"
	CopyErr          Code = "copy_err"
	FsckRunning      Code = "fsck_running"
	InvalidDestDev   Code = "invalid_destdev"
	InvalidFormat    Code = "invalid_format"
	InvalidPolicy    Code = "invalid_replpolicy"
	NoSetRebal       Code = "no_set_rebal"
	RebalRunning     Code = "rebal_running"
	SizeMismatch     Code = "size_mismatch"
	SizeVerifyError  Code = "size_verify_error"
)

// No text may contain the name of a code that some client looks for anywhere in
// the line (docs/spec/tracker-protocol.md §4.4).
var texts = map[Code]string{
	AfterMismatch:      "Pattern does not match the after-value?",
	BadParams:          "Invalid parameters to command; please see documentation",
	ClassExists:        "That class already exists in that domain",
	ClassHasFiles:      "Class still has files, unable to delete",
	ClassNotFound:      "Class not found",
	DB:                 "Database error",
	DomainExists:       "That domain already exists",
	DomainHasFiles:     "Domain still has files, unable to delete",
	DomainNotEmpty:     "Domain still has classes, unable to delete",
	DomainNotFound:     "Domain not found",
	Dup:                "Duplicate name/number used.",
	Failure:            "Operation failed",
	HostExists:         "That host already exists",
	HostMismatch:       "The device specified doesn't belong to the host specified",
	HostNotEmpty:       "Unable to delete host; it contains devices still",
	HostNotFound:       "Host not found",
	InvalidMinDevCount: "The mindevcount must be at least 1",
	KeyExists:          "Target key name already exists; can't overwrite.",
	NoClass:            "No class provided",
	NoDevice:           "Device not found",
	NoDevices:          "No devices found to store file",
	NoDomain:           "No domain provided",
	NoHost:             "No host provided",
	NoIP:               "IP required to create host",
	NoPort:             "Port required to create host",
	NoRebalPolicy:      "No rebalance policy available",
	NoRebalState:       "No available rebalance status",
	NoTempFile:         "No tempfile or file already closed",
	NoDelDefaultClass:  "Cannot delete the default class",
	NoneMatch:          "No keys match that pattern and after-value (if any).",
	NotAllowed:         "Only operators may do that; the tracker's admin_allow says who they are",
	PluginAborted:      "Action aborted by plugin",
	RebalNotStarted:    "Rebalance not running",
	StateTooHigh:       "Status cannot go from dead to alive; must use down",
	UnknownCommand:     "Unknown server command",
	UnknownHost:        "Host not found",
	UnknownState:       "Invalid/unknown state",
	UnregDomain:        "Domain name invalid/not found",
}
