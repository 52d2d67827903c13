package caddymodule

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// suspicious is a tracker of one file, known.jpg, that takes every upload, and looks closely
// at each line that it hears.
type suspicious struct {
	node string // the address of the only node

	mu     sync.Mutex // guards the rest
	key    string     // the only key that may be asked for; empty for any
	wrongs []string
}

// arguments are those that the edge sends with each command; class may be missing.
var arguments = map[string][]string{
	"get_paths":    {"domain", "key", "pathcount", "noverify"},
	"file_info":    {"domain", "key"},
	"create_open":  {"domain", "key", "class", "size", "multi_dest", "copies"},
	"create_close": {"domain", "key", "fid", "devid", "path", "size", "checksum"},
	"delete":       {"domain", "key"},
	"list_fids":    {"from", "to"},
	"get_domains":  nil,
	"noop":         nil,
}

// plain is what a tracker's line may consist of, whatever a client asks for.
var plain = regexp.MustCompile(`^[A-Za-z0-9_.,:/\\%+&=-]*$`)

// look says what is wrong with a line.
func (s *suspicious) look(command, rest string) string {
	allowed, known := arguments[command]
	switch {
	case !known:
		return "a command that nobody gives"
	case !plain.MatchString(rest):
		return "bytes that are not escaped"
	case rest == "":
		return ""
	}
	var seen []string
	for pair := range strings.SplitSeq(rest, "&") {
		name, raw, ok := strings.Cut(pair, "=")
		value, err := url.QueryUnescape(raw)
		switch {
		case !ok || err != nil || strings.Contains(raw, "="):
			return "a pair that is none: " + pair
		case !slices.Contains(allowed, name) || slices.Contains(seen, name):
			return "an argument that does not belong there: " + name
		case name == "domain" && value != "images":
			return "another domain"
		case name == "key" && s.key != "" && value != s.key && command != "create_close":
			return fmt.Sprintf("another key than %q: %q", s.key, value)
		}
		seen = append(seen, name)
	}
	return ""
}

func (s *suspicious) answer(line string) string {
	command, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
	s.mu.Lock()
	defer s.mu.Unlock()
	if wrong := s.look(command, rest); wrong != "" {
		s.wrongs = append(s.wrongs, fmt.Sprintf("%q: %s", line, wrong))
	}
	known := strings.Contains("&"+rest+"&", "&key=known.jpg&")
	path := "http://" + s.node + "/dev1/0/000/000/"
	switch {
	case command == "create_open":
		return "OK fid=2&dev_count=1&devid_1=1&path_1=" + path + "0000000002.fid"
	case command == "list_fids" && strings.HasPrefix(rest, "from=0&"):
		return "OK fid_count=1&fid_1_fid=1&fid_1_domain=images&fid_1_key=known.jpg&fid_1_length=7&fid_1_devcount=1"
	case command == "list_fids":
		return "OK fid_count=0"
	case command == "get_domains":
		return "OK domains=0"
	case command == "create_close" || command == "noop" || command == "delete" && known:
		return "OK "
	case !known:
		return "ERR unknown_key unknown_key"
	case command == "file_info":
		return "OK fid=1&domain=images&key=known.jpg&class=default&length=7&devcount=1"
	}
	return "OK paths=1&path1=" + path + "0000000001.fid"
}

// serve answers until the listener is closed.
func (s *suspicious) serve(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			in := bufio.NewReader(conn)
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				fmt.Fprintf(conn, "%s\r\n", s.answer(line))
			}
		}()
	}
}

// ServeHTTP is the node.
func (s *suspicious) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPut && r.URL.Path == "/dev1/0/000/000/0000000002.fid":
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodGet && r.URL.Path == "/dev1/0/000/000/0000000001.fid", r.Method == http.MethodHead:
		http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), strings.NewReader("content"))
	default:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.wrongs = append(s.wrongs, fmt.Sprintf("%s %s at the node: nobody told it so", r.Method, r.URL))
	}
}

// took is what was wrong since the last time; from now on no other key may be asked for.
func (s *suspicious) took(key string) (wrongs []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wrongs, s.wrongs, s.key = s.wrongs, nil, key
	return wrongs
}

const fuzzed = `{
	admin off
	persist_config off
	storage file_system DIR
}

http://:PUBLICPORT {
	bind 127.0.0.1
	handle_path /t/* {
		mogilefs images {
			tracker TRACKER
			methods GET PUT POST DELETE PURGE
			class {header.X-Class}
			cache_status
			server_timing
		}
	}
	handle_path /k/* {
		mogilefs images {
			tracker TRACKER
			methods GET PUT DELETE
			key {header.X-Key}
			location_cache off
			upload {
				copies 2
				max_size 1KiB
			}
		}
	}
	handle_path /r/* {
		mogilefs images {
			tracker TRACKER
			reproxy "{header.X-Key} http://node/dev1/0/000/000/0000000008.fid"
			content_cache 2MiB
		}
	}
	handle_path /s/* {
		mogilefs images {
			tracker TRACKER
			signed {
				key a 0123456789abcdef
			}
		}
	}
}
`

// FuzzRequests sends any target and headers to an edge with a tracker and a node that look
// closely: no answer is a 5xx or names an inner address, and no line has an argument that
// the edge did not put there.
func FuzzRequests(f *testing.F) {
	s := new(suspicious)
	node := httptest.NewServer(s)
	f.Cleanup(node.Close)
	s.node = strings.TrimPrefix(node.URL, "http://")
	ln, public := fuzzListener(f), fuzzListener(f)
	f.Cleanup(func() { ln.Close() })
	go s.serve(ln)
	public.Close()
	config := strings.NewReplacer("DIR", f.TempDir(), "PUBLICPORT", fmt.Sprint(public.Addr().(*net.TCPAddr).Port), "TRACKER", ln.Addr().String()).Replace(fuzzed)
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), nil)
	if err != nil {
		f.Fatal(err)
	}
	if err := caddy.Load(adapted, true); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = caddy.Stop() })
	resp, err := http.Get("http://" + public.Addr().String() + "/t/known.jpg")
	if err != nil || resp.StatusCode != http.StatusOK {
		f.Fatalf("got %v, %v for the file that there is; want it", resp, err)
	}
	resp.Body.Close()

	for _, seed := range []struct{ method, target, headers, body string }{
		{"GET", "/t/known.jpg", "Range: bytes=-3", ""},
		{"GET", "/t/known.jpg", "Range: bytes=0-1,3-4\nIf-Range: \"1\"", ""},
		{"HEAD", "/t/known.jpg", "If-None-Match: *", ""},
		{"GET", "/t/known.jpg", "If-Modified-Since: x\nRange: bytes=9-", ""},
		{"GET", "/t/x&pathcount=9", "", ""},
		{"GET", "/t/a%0D%0Adelete%20key=known.jpg", "", ""},
		{"GET", "/t/%00", "", ""},
		{"GET", "/t/" + strings.Repeat("x", 300), "", ""},
		{"GET", "/t/../../%2e%2e/dev1//", "", ""},
		{"GET", "/t/ä%ff+%2B=&;?domain=other&zone=alt", "", ""},
		{"GET", "http://other/t/known.jpg", "X-Forwarded-For: a, b", ""},
		{"GET", "*", "", ""},
		{"OPTIONS", "*", "", ""},
		{"PUT", "/t/new", "X-Class: a&fid=7\nContent-MD5: x", "body"},
		{"PUT", "/t/new", "X-Class: a b\tc", "body"},
		{"PUT", "/t/new", "Content-Range: bytes 0-1/2", "body"},
		{"PUT", "/t/a%2F..%2Fb", "Expect: 100-continue", "body"},
		{"POST", "/t/new", "Content-Type: multipart/form-data; boundary=x", "body"},
		{"DELETE", "/t/known.jpg", "If-Match: \"2\"", ""},
		{"DELETE", "/t/none", "", ""},
		{"PURGE", "/t/known.jpg", "", ""},
		{"GET", "/k/", "X-Key: known.jpg", ""},
		{"GET", "/k/", "X-Key: a=b&c%0Ad {env.HOME}", ""},
		{"PUT", "/k/", "X-Key: known.jpg", "body"},
		{"PUT", "/k/", "X-Key: ../x", "body"},
		{"GET", "/r/", "X-Key: http://10.0.0.1/dev1/0/000/000/0000000001.fid", ""},
		{"GET", "/r/", "X-Key: http://10.0.0.1/dev1/0/000/000/0000000009.fid http://[::1", ""},
		{"GET", "/s/known.jpg?mogile-key=a&mogile-expires=1&mogile-signature=" + strings.Repeat("A", 43), "", ""},
		{"GET", "/%74/known.jpg", "Connection: close\nAccept-Encoding: gzip", ""},
	} {
		f.Add(seed.method, seed.target, seed.headers, seed.body)
	}
	f.Fuzz(func(t *testing.T, method, target, headers, body string) {
		ask(t, s, public.Addr().String(), method, target, headers, body)
	})
}

func fuzzListener(f *testing.F) net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	return ln
}

var isToken = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$").MatchString

// ask sends one request, as far as one can be made of it, and looks at the answer.
func ask(t *testing.T, s *suspicious, addr, method, target, headers, body string) {
	if !isToken(method) || method == http.MethodConnect || target == "" || strings.ContainsAny(target, " \r\n") || len(target) > 8000 {
		return // these end before the edge, or are several requests
	}
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: edge\r\nConnection: close\r\nContent-Length: %d\r\n", method, target, len(body))
	key := ""
	for line := range strings.SplitSeq(strings.ReplaceAll(headers, "\r", ""), "\n") {
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) {
			continue
		}
		switch http.CanonicalHeaderKey(name) {
		case "Host", "Connection", "Content-Length", "Transfer-Encoding", "Trailer", "Upgrade":
			continue // net/http's to answer
		case "X-Key":
			if strings.HasPrefix(target, "/k/") && key == "" && !strings.ContainsAny(value, "{}\\") {
				key = strings.Trim(value, " \t")
			}
		}
		head.WriteString(line + "\r\n")
	}
	if strings.Count(http.CanonicalHeaderKey(head.String()), "X-Key") > 1 {
		key = ""
	}
	s.took(key)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(soon)) // only ends a test that hangs
	_, _ = io.WriteString(conn, head.String()+"\r\n"+body)
	all, err := io.ReadAll(conn)
	if err != nil && len(all) == 0 {
		t.Fatalf("%q: no answer: %v", head.String(), err)
	}
	check(t, method, head.String(), s, all)
}

// check looks at what came back, and at what was heard behind.
func check(t *testing.T, method, head string, s *suspicious, all []byte) {
	in := bufio.NewReader(bytes.NewReader(all))
	resp, err := http.ReadResponse(in, &http.Request{Method: method})
	for err == nil && resp.StatusCode == http.StatusContinue {
		resp, err = http.ReadResponse(in, &http.Request{Method: method})
	}
	if err != nil {
		t.Fatalf("%q: got %q, which is no answer: %v", head, all, err)
	}
	resp.Body.Close()
	if resp.StatusCode >= 500 {
		t.Errorf("%q: got %d", head, resp.StatusCode)
	}
	for _, inner := range []string{s.node, "127.0.0.1", "/dev1/", ".fid"} {
		if bytes.Contains(all, []byte(inner)) {
			t.Errorf("%q: got %q, which names %s", head, all, inner)
		}
	}
	for _, wrong := range s.took("") {
		t.Errorf("%q: the tracker or node heard %s", head, wrong)
	}
}
