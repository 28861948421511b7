package proxy

import (
	"sync/atomic"
	"time"

	"github.com/rs/xid"

	"github.com/proxyglass/proxyglass/record"
)

// A Session is what is known of a pair of connections before a byte of theirs
// was seen: by the front-end that accepted the client and dialled the server.
// The zero value is ready to use; everything has a default.
type Session struct {
	// ID names the session in records. Empty: a new one is made (an xid).
	ID string
	// Network is "tcp" or "udp". Empty: "tcp".
	Network string
	// Host is the target that the client asked for, with its port. Empty: the
	// server's address.
	Host string
	// Remote and Local are the client's address and the one it connected to.
	// Empty: those of the client's connection.
	Remote, Local string
	// ClientIP is the client's address without a port. Empty: Remote's.
	ClientIP string
	// ClientID names an authenticated client. Empty: nobody was.
	ClientID string
	// Route is the way to the server: the hops, then the address dialled.
	// Empty: Host.
	Route string
	// Connect is the CONNECT request that asked for the connection, with the
	// answer given. Nil: there was none.
	Connect *record.HTTP
	// Start is when the session began. Zero: now.
	Start time.Time
	// Dialled is when the connection to the server stood. Zero: unknown.
	Dialled time.Time
}

// session is a Session under way: shared by all flows of a client's connection.
type session struct {
	Session
	seq  atomic.Uint64 // records made
	busy atomic.Int64  // exchanges, and connections of unknown kind, under way

	forward *forward // the client speaks to us as to a forward proxy
	again   bool     // a further request for another target waits on the client's Conn
	bad     string   // why what waits there cannot be a request, to be told the client

	entering atomic.Bool // counted as busy already, for the exchange that is to come

	serverTLS, clientTLS time.Time // when the handshakes were complete
}

func newSession(s Session) *session {
	if s.ID == "" {
		s.ID = xid.New().String()
	}
	if s.Start.IsZero() {
		s.Start = time.Now()
	}
	return &session{Session: s}
}

// enter ends what a session is counted as busy for until its first exchange.
func (s *session) enter() {
	if s.entering.Swap(false) {
		s.busy.Add(-1)
	}
}

// timings places the connection's own milestones relative to start.
func (s *session) timings(start time.Time) record.Timings {
	since := func(t time.Time) time.Duration {
		if t.IsZero() {
			return 0
		}
		return t.Sub(start)
	}
	return record.Timings{
		Dial: since(s.Dialled), ServerHandshake: since(s.serverTLS), ClientHandshake: since(s.clientTLS),
	}
}
