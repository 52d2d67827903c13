package conformance

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience only ends what hangs.
const patience = 20 * time.Second

// reply is an answer that was read to its end.
type reply struct {
	request string // for failures
	status  int    // 0 for none
	proto   string
	header  http.Header
	length  int64 // as announced; -1 for none
	body    string
	close   bool
	err     error // of the connection
}

func (r reply) String() string {
	if r.err != nil {
		return r.err.Error()
	}
	return fmt.Sprintf("%d %.200q", r.status, r.body)
}

// wire is a connection whose bytes are written out.
type wire struct {
	*net.TCPConn
	in *bufio.Reader
}

func dial(t *testing.T, addr string) wire {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return wire{conn.(*net.TCPConn), bufio.NewReader(conn)}
}

// say writes bytes. That they can't be written shows when nothing comes back.
func (w wire) say(text string) { _, _ = io.WriteString(w, text) }

// read reads one answer to a request with a method.
func (w wire) read(method string) reply {
	resp, err := http.ReadResponse(w.in, &http.Request{Method: method})
	if err != nil {
		return reply{request: method, err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return reply{
		request: method, status: resp.StatusCode, proto: resp.Proto, header: resp.Header,
		length: resp.ContentLength, body: string(body), close: resp.Close, err: err,
	}
}

// raw sends a request on a connection of its own and reads one answer.
func (p *probe) raw(text string) reply {
	p.t.Helper()
	w := dial(p.t, p.addr)
	defer w.Close()
	w.say(text)
	head, _, _ := strings.Cut(text, "\r\n")
	method, _, _ := strings.Cut(head, " ")
	got := w.read(method)
	got.request = strconv.Quote(head)
	return got
}

// do sends a request with a body that has a length; headers are "Name: value".
func (p *probe) do(method, path, body string, headers ...string) reply {
	p.t.Helper()
	got := p.raw(request(method, path, body, append(headers, "Connection: close")...))
	got.request = strings.Join(append([]string{method, path}, headers...), " ")
	return got
}

func request(method, path, body string, headers ...string) string {
	if method == "PUT" || body != "" {
		headers = append(headers, "Content-Length: "+strconv.Itoa(len(body)))
	}
	return head(method+" "+path+" HTTP/1.1", append(headers, "Host: node")...) + body
}

// head is the part of a request before its body.
func head(line string, headers ...string) string {
	return strings.Join(append([]string{line}, headers...), "\r\n") + "\r\n\r\n"
}
