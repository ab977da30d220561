import { render } from 'preact';
import 'uplot/dist/uPlot.min.css';
import './styles/tokens.css';
import './styles/base.css';
import './styles/layout.css';
import './styles/machine.css';
import './styles/timeline.css';
import './styles/dialog.css';
import { App } from './app.js';
import { takeToken } from './daemon/token.js';
import { follow } from './state/live.js';

const root = document.querySelector('#app');
if (!root) throw new Error('The page has no place for its content.');
if (takeToken()) {
  render(<App />, root);
  void follow();
}
