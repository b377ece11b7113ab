// The job of nsrelay as one writes it in Go in an afternoon: two goroutines with io.Copy for each
// connection, one listener for each namespace, one line of log for each connection.
package main

import (
	"flag"
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Package syscall does not have it.
var sysSetns = map[string]uintptr{"amd64": 308, "arm64": 268}[runtime.GOARCH]

// listenIn opens a listener inside the namespace at path; "" is the one of the process. The thread
// that was moved ends with its goroutine, because it stays locked.
func listenIn(path, address string) (net.Listener, error) {
	if path == "" {
		return net.Listen("tcp", address)
	}
	type result struct {
		listener net.Listener
		err      error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread()
		file, err := os.Open(path)
		if err != nil {
			done <- result{nil, err}
			return
		}
		defer file.Close()
		if _, _, errno := syscall.RawSyscall(sysSetns, file.Fd(), syscall.CLONE_NEWNET, 0); errno != 0 {
			done <- result{nil, errno}
			return
		}
		listener, err := net.Listen("tcp", address)
		done <- result{listener, err}
	}()
	got := <-done
	return got.listener, got.err
}

func copyOneWay(to, from *net.TCPConn, moved chan<- int64) {
	count, _ := io.Copy(to, from)
	to.CloseWrite()
	moved <- count
}

func forward(client *net.TCPConn, upstream string) {
	defer client.Close()
	began := time.Now()
	dialed, err := net.Dial("tcp", upstream)
	if err != nil {
		log.Printf("client=%v error=%v", client.RemoteAddr(), err)
		return
	}
	server := dialed.(*net.TCPConn)
	defer server.Close()
	received, sent := make(chan int64), make(chan int64)
	go copyOneWay(server, client, received)
	go copyOneWay(client, server, sent)
	log.Printf("client=%v upstream=%v received=%d sent=%d duration=%v", client.RemoteAddr(), upstream,
		<-received, <-sent, time.Since(began))
}

func serve(listener net.Listener, upstream string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			log.Printf("accept: %v", err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		go forward(client.(*net.TCPConn), upstream)
	}
}

// forwardDatagrams is the same for UDP: a socket and a goroutine for each client.
func forwardDatagrams(listen, upstream string) {
	listener, err := net.ListenPacket("udp", listen)
	if err != nil {
		log.Fatal(err)
	}
	var lock sync.Mutex
	sessions := map[string]net.Conn{}
	reply := func(client net.Addr, session net.Conn) {
		buffer := make([]byte, 65535)
		for {
			session.SetReadDeadline(time.Now().Add(time.Minute))
			count, err := session.Read(buffer)
			if err != nil {
				break
			}
			listener.WriteTo(buffer[:count], client)
		}
		lock.Lock()
		delete(sessions, client.String())
		lock.Unlock()
		session.Close()
		log.Printf("client=%v upstream=%v", client, upstream)
	}
	buffer := make([]byte, 65535)
	for {
		count, client, err := listener.ReadFrom(buffer)
		if err != nil {
			continue
		}
		lock.Lock()
		session := sessions[client.String()]
		if session == nil {
			if session, err = net.Dial("udp", upstream); err != nil {
				lock.Unlock()
				continue
			}
			sessions[client.String()] = session
			go reply(client, session)
		}
		lock.Unlock()
		session.Write(buffer[:count])
	}
}

func main() {
	protocol := flag.String("protocol", "tcp", "tcp or udp")
	listen := flag.String("listen", "", "ADDRESS:PORT in every namespace")
	upstream := flag.String("upstream", "", "ADDRESS:PORT")
	flag.Parse()
	if *protocol == "udp" {
		forwardDatagrams(*listen, *upstream)
	}
	paths := flag.Args()
	if len(paths) == 0 {
		paths = []string{""}
	}
	for _, path := range paths {
		listener, err := listenIn(path, *listen)
		if err != nil {
			log.Fatalf("%s: %v", path, err)
		}
		go serve(listener, *upstream)
	}
	select {}
}
