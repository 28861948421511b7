// Echoes messages, all of them compressed where that was agreed on, and prints
// its port.
const { existsSync, readFileSync } = require('node:fs')
const { join } = require('node:path')
const { WebSocketServer } = require('ws')

const secure = existsSync(join(__dirname, 'key.pem'))
const server = secure
  ? require('node:https').createServer({
    key: readFileSync(join(__dirname, 'key.pem')),
    cert: readFileSync(join(__dirname, 'cert.pem'))
  })
  : require('node:http').createServer()
const sockets = new WebSocketServer({ server, perMessageDeflate: { threshold: 0, serverNoContextTakeover: true } })
sockets.on('connection', socket => {
  socket.on('message', (data, binary) => socket.send(data, { binary }))
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
