// Training code in JavaScript: logistic regression that tells two arms of a spiral apart.
//
//     rung tune --command "node examples/node/train.js" --space examples/node/space.json \
//         --resource epoch:1:27 --metric accuracy --mode max --trials 60 --workers 2
//
// The configuration comes from the file in RUNG_CONFIG, so that the command has no placeholder.
'use strict'
const fs = require('fs')
const path = require('path')

const config = JSON.parse(fs.readFileSync(process.env.RUNG_CONFIG, 'utf8'))
const last = Number(process.env.RUNG_RESOURCE)
const file = path.join(process.env.RUNG_CHECKPOINT, 'weights.json')

let seed = 20261128 // of the data: the same for all trials
function random() {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}

// Features are sines and cosines of multiples of angle minus radius, up to a degree.
const rows = []
for (let i = 0; i < 600; i++) {
  const label = i % 2
  const radius = 0.2 + 2.8 * random()
  const angle = radius * 2 + Math.PI * label + 0.9 * (random() - 0.5)
  rows.push({ label, radius, angle })
}
function features(row) {
  const found = [1]
  for (let k = 1; k <= config.degree; k++) {
    found.push(Math.sin(k * (row.angle - row.radius)), Math.cos(k * (row.angle - row.radius)))
  }
  return found
}
const table = rows.map((row) => ({ x: features(row), y: row.label }))
const [train, test] = [table.slice(0, 400), table.slice(400)]

const predict = (w, x) => 1 / (1 + Math.exp(-x.reduce((sum, value, i) => sum + value * w[i], 0)))

let state = { epoch: 0, weights: new Array(table[0].x.length).fill(0) }
if (fs.existsSync(file)) state = JSON.parse(fs.readFileSync(file, 'utf8'))

while (state.epoch < last) {
  for (const { x, y } of train) {
    const error = predict(state.weights, x) - y
    state.weights = state.weights.map((w, i) => w - config.lr * (error * x[i] + config.l2 * w))
  }
  state.epoch += 1
  fs.writeFileSync(file + '.new', JSON.stringify(state))
  fs.renameSync(file + '.new', file)
  const right = test.filter(({ x, y }) => (predict(state.weights, x) > 0.5 ? 1 : 0) === y).length
  console.log(`rung: ${JSON.stringify({ resource: state.epoch, accuracy: right / test.length })}`)
}
