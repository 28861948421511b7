// Package mitm opens TLS connections: it is the server that the client wanted.
package mitm
