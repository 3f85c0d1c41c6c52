// What users of the E2B SDK do inside a sandbox, once for each version of the SDK and for each way to envd.
// The environment names them: WRENN_SDK (module), WRENN_SANDBOX_URL, WRENN_SANDBOX_ID, WRENN_ACCESS_TOKEN,
// WRENN_ENVD_VERSION, WRENN_HOME (a directory for files).
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'

const { Sandbox, CommandExitError, TimeoutError, FileNotFoundError } = await import(process.env.WRENN_SDK)
const id = process.env.WRENN_SANDBOX_ID
const home = process.env.WRENN_HOME
const sandbox = new Sandbox({
  sandboxId: id,
  sandboxUrl: process.env.WRENN_SANDBOX_URL,
  envdVersion: process.env.WRENN_ENVD_VERSION,
  envdAccessToken: process.env.WRENN_ACCESS_TOKEN,
  apiKey: 'e2b_' + '0'.repeat(40),
})

const options = { timeout: 120_000 }  // of a test: the guest may be emulated on a busy machine

async function until(condition, what) {
  const end = Date.now() + 30_000
  while (!condition()) {
    assert.ok(Date.now() < end, `${what} did not happen within 30 s`)
    await new Promise((wake) => setTimeout(wake, 50))
  }
}

test('the sandbox is running', options, async () => {
  assert.equal(await sandbox.isRunning(), true)
})

test('commands: output, exit code, environment, directory', options, async () => {
  const done = await sandbox.commands.run('echo "$GREETING"; echo to stderr >&2; pwd', { envs: { GREETING: 'hello ✓' }, cwd: '/tmp' })
  assert.deepEqual([done.stdout, done.stderr, done.exitCode], ['hello ✓\n/tmp\n', 'to stderr\n', 0])
  const heard = []
  await sandbox.commands.run('for i in 1 2 3; do echo $i; done', { onStdout: (text) => { heard.push(text) } })
  assert.equal(heard.join(''), '1\n2\n3\n')
})

test('commands: a failing command', options, async () => {
  await assert.rejects(sandbox.commands.run('echo no >&2; exit 3'),
    (error) => error instanceof CommandExitError && error.exitCode === 3 && error.stderr === 'no\n')
})

test('commands: much output is whole', options, async () => {
  const done = await sandbox.commands.run('seq 1 100000')
  assert.equal(done.stdout.length, 588895)
  assert.ok(done.stdout.endsWith('\n100000\n'))
})

test('commands: background, list, standard input, end', options, async () => {
  const handle = await sandbox.commands.run('cat; echo over', { background: true, stdin: true })
  const listed = await sandbox.commands.list()
  assert.ok(listed.some((one) => one.pid === handle.pid))
  await sandbox.commands.sendStdin(handle.pid, 'first line\n')
  await until(() => handle.stdout.includes('first line'), 'the echo')
  await sandbox.commands.closeStdin(handle.pid)
  const done = await handle.wait()
  assert.equal(done.stdout, 'first line\nover\n')
})

test('commands: kill', options, async () => {
  const handle = await sandbox.commands.run('sleep 600', { background: true })
  assert.equal(await handle.kill(), true)
  await assert.rejects(handle.wait(), CommandExitError)
  assert.equal(await sandbox.commands.kill(handle.pid), false)
})

test('commands: timeout', options, async () => {
  await assert.rejects(sandbox.commands.run('sleep 600', { timeoutMs: 1_500 }), TimeoutError)
})

test('commands: connect to one that runs', options, async () => {
  const first = await sandbox.commands.run('read line; echo "got $line"', { background: true, stdin: true })
  const second = await sandbox.commands.connect(first.pid)
  await sandbox.commands.sendStdin(first.pid, 'from the other\n')
  const [one, two] = await Promise.all([first.wait(), second.wait()])
  assert.equal(one.stdout, 'got from the other\n')
  assert.equal(two.stdout, 'got from the other\n')
})

test('pty: type, resize, exit', options, async () => {
  let screen = ''
  const decoder = new TextDecoder()
  const terminal = await sandbox.pty.create({ cols: 80, rows: 24, onData: (data) => { screen += decoder.decode(data, { stream: true }) } })
  const type = (text) => sandbox.pty.sendInput(terminal.pid, new TextEncoder().encode(text))
  await type('stty size; echo term=$TERM\n')
  await until(() => screen.includes('24 80') && screen.includes('term=xterm'), 'the size of the terminal')
  await sandbox.pty.resize(terminal.pid, { cols: 132, rows: 50 })
  await type('stty size\n')
  await until(() => screen.includes('50 132'), 'the new size')
  await type('exit 4\n')
  await assert.rejects(terminal.wait(), (error) => error instanceof CommandExitError && error.exitCode === 4)
})

test('files: write, read, look, list, rename, remove', options, async () => {
  const folder = `${home}/folder`
  assert.equal(await sandbox.files.makeDir(`${folder}/inner`), true)
  assert.equal(await sandbox.files.makeDir(`${folder}/inner`), false)
  const info = await sandbox.files.write(`${folder}/text ✓.txt`, 'hello')
  assert.equal(info.path, `${folder}/text ✓.txt`)
  assert.equal(await sandbox.files.read(`${folder}/text ✓.txt`), 'hello')
  assert.equal(await sandbox.files.exists(`${folder}/text ✓.txt`), true)
  assert.equal(await sandbox.files.exists(`${folder}/nothing`), false)
  const seen = await sandbox.files.getInfo(`${folder}/text ✓.txt`)
  assert.deepEqual([seen.name, seen.type, seen.size], ['text ✓.txt', 'file', 5])
  const listed = await sandbox.files.list(folder)
  assert.deepEqual(listed.map((one) => [one.name, one.type]).sort(), [['inner', 'dir'], ['text ✓.txt', 'file']])
  await sandbox.files.rename(`${folder}/text ✓.txt`, `${folder}/inner/moved`)
  assert.equal(await sandbox.files.read(`${folder}/inner/moved`), 'hello')
  assert.equal((await sandbox.files.list(folder, { depth: 2 })).length, 2)
  await sandbox.files.remove(folder)
  assert.equal(await sandbox.files.exists(folder), false)
  await assert.rejects(sandbox.files.read(`${folder}/inner/moved`), FileNotFoundError ?? /not.*found|does not exist/i)
})

test('files: bytes, streams, several at once', options, async () => {
  const bytes = randomBytes(3_000_000)
  await sandbox.files.write(`${home}/bytes`, new Blob([bytes]))
  const back = await sandbox.files.read(`${home}/bytes`, { format: 'bytes' })
  assert.ok(Buffer.from(back).equals(bytes))
  const pieces = []
  for await (const piece of await sandbox.files.read(`${home}/bytes`, { format: 'stream' })) pieces.push(piece)
  assert.ok(Buffer.concat(pieces).equals(bytes))
  const written = await sandbox.files.write([{ path: `${home}/a`, data: 'A' }, { path: `${home}/b`, data: 'BB' }])
  assert.equal(written.length, 2)
  assert.equal(await sandbox.files.read(`${home}/b`), 'BB')
})

test('files: watch', options, async () => {
  const folder = `${home}/watched`
  await sandbox.files.makeDir(folder)
  const events = []
  const watch = await sandbox.files.watchDir(folder, (event) => { events.push(`${event.type} ${event.name}`) }, { recursive: true })
  await sandbox.files.write(`${folder}/one`, '1')
  await sandbox.files.makeDir(`${folder}/deep`)
  await sandbox.files.write(`${folder}/deep/two`, '2')
  await sandbox.files.remove(`${folder}/one`)
  await until(() => events.some((one) => one.includes('deep/two')) && events.includes('remove one'), `events; so far ${events}`)
  await watch.stop()
})

test('files: signed URLs need no token', options, async () => {
  // By itself a URL names no sandbox here: SDKs that are told one URL for all sandboxes name it in header fields.
  const headers = { 'E2b-Sandbox-Id': id, 'E2b-Sandbox-Port': '49983' }
  const form = new FormData()
  form.append('file', new Blob(['signed']), 'signed')
  const up = await sandbox.uploadUrl(`${home}/signed`, { useSignatureExpiration: 600 })
  assert.equal((await fetch(up, { method: 'POST', body: form, headers })).status, 200)
  const down = await sandbox.downloadUrl(`${home}/signed`, { useSignatureExpiration: 600 })
  assert.equal(await (await fetch(down, { headers })).text(), 'signed')
  assert.equal((await fetch(down.replace(/signature=[^&]*/, 'signature=v1_wrong'), { headers })).status, 401)
  const past = await sandbox.downloadUrl(`${home}/signed`, { useSignatureExpiration: -10 })
  assert.equal((await fetch(past, { headers })).status, 401)
})

test('a wrong token is refused', options, async () => {
  const stranger = new Sandbox({ sandboxId: id, sandboxUrl: process.env.WRENN_SANDBOX_URL, envdVersion: process.env.WRENN_ENVD_VERSION,
    envdAccessToken: 'wrong', apiKey: 'e2b_' + '0'.repeat(40) })
  await assert.rejects(stranger.commands.run('true'))
  await assert.rejects(stranger.files.read('/etc/hostname'))
})
